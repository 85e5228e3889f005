-- The records that a worker writes when a job spawns.

-- name: touch_parent
-- Changes a claimed job, so that any other change of it conflicts with the spawn, on every node.
UPDATE hammerwork_jobs SET releases = {next_release} WHERE id = :id AND {claimed}

-- name: earlier_spawns
-- The number of spawns of the same run that were recorded before.
(SELECT COUNT(*) FROM hammerwork_spawn_operations o
WHERE o.parent_id = :parent AND o.occurrence = :occurrence AND o.outcome = 'spawned' AND o.id <> :id)

-- name: record
-- Records that a job spawned and returns the counters.
{record_row}
RETURNING {earlier_spawns}, {counts}

-- name: record [mysql]
-- MySQL's INSERT returns nothing.
{record_row}

-- name: counters
-- Reads the counters where the record does not return them.
SELECT {earlier_spawns}, {counts}

-- name: record_row
-- The record of a spawn.
INSERT INTO hammerwork_spawn_operations (
id, parent_id, root_id, depth, occurrence, operation_id, handler, config, outcome, children, error_message, worker_id,
request_id, started_at, ended_at)
VALUES (:id, :parent, :root, :depth, :occurrence, :operation, :handler, :config, :outcome, :children, :error, :worker,
:request, :started, :ended)

-- name: is_recorded
-- Tells whether an earlier try of the same spawn was committed. The parent's row is no proof: others may have ended it.
SELECT 1 FROM hammerwork_spawn_operations o WHERE o.id = :id

-- name: record_hook_error
-- Records an error that came after the children were written.
UPDATE hammerwork_spawn_operations SET hook_error = :error WHERE id = :id

-- name: child_by_key
-- Reads the child that a run of a job spawned under a key.
SELECT c.child_id FROM hammerwork_spawned_children c
WHERE c.parent_id = :parent AND c.occurrence = :occurrence AND c.spawn_key = :key

-- name: count_keys
-- Counts the keys under which a run of a job has spawned.
SELECT COUNT(*) FROM hammerwork_spawned_children c WHERE c.parent_id = :parent AND c.occurrence = :occurrence

-- name: record_key
-- Records the key of a child.
INSERT INTO hammerwork_spawned_children (parent_id, occurrence, spawn_key, child_id, spawned_at, root_id)
VALUES (:parent, :occurrence, :key, :child, :now, :root)

-- name: share
-- Writes that several parents have spawned a job.
UPDATE hammerwork_jobs {by_id} SET ancestry = :ancestry WHERE id = :id

-- name: adopt
-- Gives a locked early child that failed with its parent another parent, and lets it run.
UPDATE hammerwork_jobs {by_id} SET status = 'Pending', attempts = 0, scheduled_at = :now, started_at = NULL,
failed_at = NULL, error_message = NULL, depends_on = :parents, dependency_status = :state, ancestry = :ancestry {unleased}
WHERE id = :id

-- name: forget_earlier_keys
-- Deletes the keys of earlier runs of a recurring job.
DELETE FROM hammerwork_spawned_children WHERE parent_id = :parent AND occurrence < :occurrence

-- name: old_operation
-- Reads the latest recorded spawn of a recurring job that is not one of the :kept last ones.
SELECT o.ended_at, o.occurrence FROM hammerwork_spawn_operations o WHERE o.parent_id = :parent
ORDER BY o.ended_at DESC LIMIT 1 OFFSET :kept

-- name: forget_earlier_operations
-- Deletes the recorded spawns of a recurring job that ended by a given time.
DELETE FROM hammerwork_spawn_operations WHERE parent_id = :parent AND ended_at <= :ended

-- name: forget_earlier_trees
-- Deletes the counters of descendants of earlier runs of a recurring job.
DELETE FROM hammerwork_spawn_trees WHERE root_id = :parent AND occurrence <= :occurrence
