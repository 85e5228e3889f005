-- The latest changes: jobs that were created, started, ended or became due. Each part reads one end of an index and is
-- bounded; where an index is missing (ours on created_at, those of 010), it is one pass over the table.

-- name: running
-- The newest running jobs. The index has them under the times of their end, which are empty.
SELECT j.id, j.started_at FROM hammerwork_jobs j
WHERE j.status = 'Running' AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
ORDER BY j.completed_at DESC, j.failed_at DESC, j.created_at DESC LIMIT :most

-- name: timed_out
-- The newest jobs that timed out. hammerwork (Rust) writes them no failed_at, and timed_out_at has no index.
SELECT j.id, j.timed_out_at FROM hammerwork_jobs j
WHERE j.status = 'TimedOut' AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
ORDER BY j.completed_at DESC, j.failed_at DESC, j.created_at DESC LIMIT :most

-- name: jobs
-- Reads the jobs that changed since a given time, each with its due time.
SELECT j.scheduled_at, {node} FROM hammerwork_jobs j JOIN (
SELECT x.id FROM (SELECT j.id FROM hammerwork_jobs j WHERE j.created_at >= :since
ORDER BY j.created_at DESC LIMIT :most) AS x
UNION SELECT x.id FROM ({running}) AS x WHERE x.started_at >= :since
UNION SELECT x.id FROM (SELECT j.id FROM hammerwork_jobs j WHERE j.status = 'Completed' AND {unarchived}
AND j.completed_at >= :since ORDER BY j.completed_at DESC LIMIT :most) AS x
UNION SELECT x.id FROM (SELECT j.id FROM hammerwork_jobs j WHERE j.status IN ('Failed', 'Dead', 'TimedOut')
AND j.failed_at >= :since ORDER BY j.failed_at DESC LIMIT :most) AS x
UNION SELECT x.id FROM ({timed_out}) AS x WHERE x.timed_out_at >= :since
UNION SELECT x.id FROM (SELECT j.id FROM hammerwork_jobs j WHERE j.status = 'Pending'
AND j.scheduled_at >= :since AND j.scheduled_at <= :until ORDER BY j.scheduled_at DESC LIMIT :most) AS x
) AS n ON n.id = j.id
