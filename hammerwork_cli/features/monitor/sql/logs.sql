-- What happened lately. Each part reads one end of an index and is bounded.

-- name: created
-- The jobs that were created last.
SELECT j.id FROM hammerwork_jobs j ORDER BY j.created_at DESC LIMIT :window

-- name: completed
-- The jobs that completed last.
SELECT j.id FROM hammerwork_jobs j WHERE j.status = 'Completed' AND {unarchived} AND j.completed_at IS NOT NULL
ORDER BY j.completed_at DESC LIMIT :window

-- name: failed_last
-- Ends a statement on jobs of one status: those that failed last.
AND j.failed_at IS NOT NULL ORDER BY j.failed_at DESC LIMIT :window

-- name: timed_out
-- The newest jobs that timed out. hammerwork (Rust) writes them no failed_at, and timed_out_at has no index.
SELECT j.id FROM {by_state}
WHERE j.status = 'TimedOut' AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
ORDER BY j.completed_at DESC, j.failed_at DESC, j.created_at DESC LIMIT :window

-- name: running
-- The newest running jobs.
SELECT j.id FROM {by_state}
WHERE j.status = 'Running' AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
ORDER BY j.completed_at DESC, j.failed_at DESC, j.created_at DESC LIMIT :most_running

-- name: newest
-- Reads the jobs to which something happened last. Their attempts are among the last ones too: a later event of the same
-- job is newer.
SELECT {node} FROM (
SELECT a.id FROM ({created}) AS a
UNION SELECT b.id FROM ({completed}) AS b
UNION SELECT c.id FROM (SELECT j.id FROM hammerwork_jobs j WHERE j.status = 'Failed' {failed_last}) AS c
UNION SELECT d.id FROM (SELECT j.id FROM hammerwork_jobs j WHERE j.status = 'Dead' {failed_last}) AS d
UNION SELECT e.id FROM (SELECT j.id FROM hammerwork_jobs j WHERE j.status = 'TimedOut' {failed_last}) AS e
UNION SELECT f.id FROM ({timed_out}) AS f
UNION SELECT g.id FROM ({running}) AS g
UNION SELECT h.id FROM ({last_pending}) AS h WHERE h.retrying = 1
) AS w CROSS JOIN hammerwork_jobs j WHERE j.id = w.id
/* if :queues */ AND {one_of j.queue_name :queues}

-- name: operation
-- The columns of a recorded spawn o.
o.parent_id, o.outcome, o.children, o.started_at, o.ended_at, o.error_message

-- name: last_operations
-- Lists the spawns that were recorded last, with the queues of their parents.
SELECT {operation}, j.queue_name FROM (
SELECT o.* FROM hammerwork_spawn_operations o ORDER BY o.ended_at DESC LIMIT :window) AS o
LEFT JOIN hammerwork_jobs j ON j.id = o.parent_id
/* if :queues */ WHERE {one_of j.queue_name :queues}

-- name: operations_of
-- Lists the recorded spawns of some jobs.
SELECT {operation} FROM hammerwork_spawn_operations o WHERE o.parent_id {among}
