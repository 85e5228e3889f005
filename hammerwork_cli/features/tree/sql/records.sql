-- The records that workers keep of their spawns.

-- name: columns
-- The columns of spawn.models.spawn.RecordedSpawn, in order.
o.id, o.parent_id, o.operation_id, o.handler, o.outcome, o.children, o.error_message, o.hook_error, o.worker_id,
o.request_id, o.started_at, o.ended_at

-- name: of_jobs
-- Lists the recorded spawns of some jobs, the oldest first.
SELECT {columns} FROM hammerwork_spawn_operations o WHERE o.parent_id {among} ORDER BY o.ended_at, o.id

-- name: any
-- Tells whether any spawn was recorded. The table of early children has no index of times, so any of them counts.
SELECT 1 FROM (SELECT 1 AS one) AS x WHERE EXISTS (SELECT 1 FROM hammerwork_spawn_operations o
/* if :since */ WHERE o.ended_at >= :since
) OR EXISTS (SELECT 1 FROM hammerwork_spawned_children c)

-- name: parents
-- Lists those of some jobs that have spawned, at their ends or before.
SELECT o.parent_id FROM hammerwork_spawn_operations o WHERE o.parent_id {among}
UNION SELECT c.parent_id FROM hammerwork_spawned_children c WHERE c.parent_id {among}

-- name: existing
-- Lists those of some jobs that exist, live or archived.
SELECT e.id FROM (SELECT j.id FROM hammerwork_jobs j WHERE j.id {among}
UNION ALL SELECT a.id FROM hammerwork_jobs_archive a WHERE a.id {among}) AS e

-- name: gone [mysql]
-- Deleted jobs, from a JSON list, so that each is looked up by its key. For a list of values InnoDB would read a small
-- table from end to end, and wait for every row that a worker has just written.
JSON_TABLE(:listed, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e STRAIGHT_JOIN

-- name: forget_requests
-- Deletes the spawn requests of deleted jobs.
DELETE FROM hammerwork_spawn_requests WHERE job_id {among}

-- name: forget_requests [mysql]
DELETE r FROM {gone} hammerwork_spawn_requests r FORCE INDEX (idx_hammerwork_spawn_requests_job) ON r.job_id = {as_id e.parent}

-- name: forget_keys
-- Deletes the spawn keys of deleted jobs.
DELETE FROM hammerwork_spawned_children WHERE parent_id {among}

-- name: forget_keys [mysql]
DELETE c FROM {gone} hammerwork_spawned_children c FORCE INDEX (PRIMARY) ON c.parent_id = {as_id e.parent}

-- name: forget_operations
-- Deletes the recorded spawns of deleted jobs.
DELETE FROM hammerwork_spawn_operations WHERE parent_id {among}

-- name: forget_operations [mysql]
DELETE o FROM {gone} hammerwork_spawn_operations o FORCE INDEX (idx_hammerwork_spawn_operations_parent)
ON o.parent_id = {as_id e.parent}

-- name: forget_trees
-- Deletes the counters of descendants of deleted jobs.
DELETE FROM hammerwork_spawn_trees WHERE root_id {among}

-- name: forget_trees [mysql]
DELETE t FROM {gone} hammerwork_spawn_trees t FORCE INDEX (PRIMARY) ON t.root_id = {as_id e.parent}

-- name: forget_attempts
-- Deletes the history of the attempts of deleted jobs.
DELETE FROM hammerwork_attempts WHERE job_id {among}

-- name: forget_attempts [mysql]
DELETE a FROM {gone} hammerwork_attempts a FORCE INDEX (PRIMARY) ON a.job_id = {as_id e.parent}

-- name: forget_unique
-- Deletes the unique keys of deleted jobs.
DELETE FROM hammerwork_unique WHERE job_id {among}

-- name: forget_unique [mysql]
DELETE u FROM {gone} hammerwork_unique u FORCE INDEX (idx_hammerwork_unique_job) ON u.job_id = {as_id e.parent}

-- name: forget_joins
-- Deletes the joins of deleted jobs.
DELETE FROM hammerwork_joins WHERE job_id {among}

-- name: forget_joins [mysql]
DELETE x FROM {gone} hammerwork_joins x FORCE INDEX (PRIMARY) ON x.job_id = {as_id e.parent}

-- name: allow_again
-- Lets jobs spawn again when they complete again.
UPDATE hammerwork_spawn_operations SET outcome = 'repeated' WHERE parent_id IN (:ids) AND outcome = 'spawned'

-- name: forget_children
-- Deletes the spawn keys of jobs that may spawn again.
DELETE FROM hammerwork_spawned_children WHERE parent_id IN (:ids)
