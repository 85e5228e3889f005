-- What workers recorded of the spawns they did.

-- name: columns
-- Those of models.RecordedSpawn, in order.
o.id, o.parent_id, o.operation_id, o.handler, o.outcome, o.children, o.error_message, o.hook_error, o.worker_id,
o.request_id, o.started_at, o.ended_at

-- name: of_jobs
-- The spawns of some jobs, the oldest first.
SELECT {columns} FROM hammerwork_spawn_operations o WHERE o.parent_id {among} ORDER BY o.ended_at, o.id

-- name: any
-- Whether anything was recorded.
SELECT 1 FROM hammerwork_spawn_operations o
WHERE o.ended_at >= :since -- when :since
LIMIT 1

-- name: parents
-- Those of some jobs that have spawned.
SELECT DISTINCT o.parent_id FROM hammerwork_spawn_operations o WHERE o.parent_id {among}
