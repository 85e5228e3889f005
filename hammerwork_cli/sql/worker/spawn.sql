-- What workers write when a job spawns others.

-- name: spawned_before
-- Whether a job has spawned in this run of it.
SELECT 1 FROM hammerwork_spawn_operations o
WHERE o.parent_id = :id AND o.occurrence = :occurrence AND o.outcome = 'spawned' LIMIT 1

-- name: touch_parent
-- A real change of a job that we hold, so that whatever else changes it, on any node, conflicts with us.
UPDATE hammerwork_jobs SET releases = COALESCE(releases, 0) + 1 WHERE id = :id AND {claimed}

-- name: record
-- Remembers that a parent spawned.
INSERT INTO hammerwork_spawn_operations (
id, parent_id, root_id, depth, occurrence, operation_id, handler, config, outcome, children, error_message, worker_id,
request_id, started_at, ended_at)
VALUES (:id, :parent, :root, :depth, :occurrence, :operation, :handler, :config, :outcome, :children, :error, :worker,
:request, :started, :ended)

-- name: is_recorded
-- Whether an earlier try of the same spawn was committed. The parent's row proves nothing: others may have ended it.
SELECT 1 FROM hammerwork_spawn_operations o WHERE o.id = :id

-- name: record_hook_error
-- Remembers what went wrong after the children were written.
UPDATE hammerwork_spawn_operations SET hook_error = :error WHERE id = :id

-- name: child_by_key
-- The child that a parent spawned under a key.
SELECT c.child_id FROM hammerwork_spawned_children c
WHERE c.parent_id = :parent AND c.occurrence = :occurrence AND c.spawn_key = :key

-- name: count_keys
-- How many keys a run of a parent has spawned under.
SELECT COUNT(*) FROM hammerwork_spawned_children c WHERE c.parent_id = :parent AND c.occurrence = :occurrence

-- name: record_key
-- Remembers which child has which key.
INSERT INTO hammerwork_spawned_children (parent_id, occurrence, spawn_key, child_id, spawned_at, root_id)
VALUES (:parent, :occurrence, :key, :child, :now, :root)

-- name: forget_earlier_keys
-- Keys of earlier runs of a recurring parent.
DELETE FROM hammerwork_spawned_children WHERE parent_id = :parent AND occurrence < :occurrence

-- name: old_operation
-- When the spawn ended that a recurring parent is remembered for, the :kept last ones apart.
SELECT o.ended_at, o.occurrence FROM hammerwork_spawn_operations o WHERE o.parent_id = :parent
ORDER BY o.ended_at DESC LIMIT 1 OFFSET :kept

-- name: forget_earlier_operations
-- That one, and those before it.
DELETE FROM hammerwork_spawn_operations WHERE parent_id = :parent AND ended_at <= :ended

-- name: forget_earlier_trees
-- How many descendants there were then.
DELETE FROM hammerwork_spawn_trees WHERE root_id = :parent AND occurrence <= :occurrence
