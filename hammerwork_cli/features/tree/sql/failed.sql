-- The jobs that failed last.

-- name: may_be_placed
-- Whether the row of job j leaves it open that it belongs to the tree of a root.
({ancestry} IS NULL OR {ancestry} LIKE :place OR {ancestry} NOT LIKE '%"root":%')

-- name: failed_lately
-- In this order, the index on statuses and times of failure is read from its end.
AND j.failed_at IS NOT NULL AND {status j} <> 'Cancelled'
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :since */ AND j.failed_at >= :since
/* if :place */ AND {may_be_placed}
ORDER BY j.failed_at DESC LIMIT :limit

-- name: failed_at
-- Jobs with the time of their failure, which an index has.
SELECT j.id, j.failed_at AS at FROM hammerwork_jobs j

-- name: timeless_failures
-- The newest failed jobs without failed_at, which hammerwork (Rust) does not write for jobs that timed out. The order
-- is one that the index of all jobs by age does not have: where there are none, that index would be read from end to
-- end.
SELECT j.id, {failure_time} AS at FROM hammerwork_jobs j
WHERE j.status IN (:failed) AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :since */ AND {failure_time} >= :since
/* if :place */ AND {may_be_placed}
ORDER BY j.status DESC, j.created_at DESC LIMIT :limit

-- name: ended_failures
-- The newest failed jobs that have only the time of an end, as other programs may write them. The order is one that
-- the index on statuses and times of completion has.
SELECT j.id, j.completed_at AS at FROM hammerwork_jobs j
WHERE j.status IN (:failed) AND j.completed_at IS NOT NULL AND j.failed_at IS NULL AND {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :since */ AND j.completed_at >= :since
/* if :place */ AND {may_be_placed}
ORDER BY j.status DESC, j.completed_at DESC LIMIT :limit

-- name: newest
-- Reads the jobs that failed last, with their parents. The ids come from indexes alone: each usual spelling from the
-- end of its index, then the others.
SELECT j.id, j.depends_on, {failure_time}, CASE WHEN {has_config} THEN 1 ELSE 0 END
FROM (SELECT x.id, x.at FROM (
SELECT y.id, y.at FROM ({failed_at} WHERE j.status = 'Failed' {failed_lately}) AS y
UNION SELECT y.id, y.at FROM ({failed_at} WHERE j.status = 'Dead' {failed_lately}) AS y
UNION SELECT y.id, y.at FROM ({failed_at} WHERE j.status = 'TimedOut' {failed_lately}) AS y
UNION SELECT y.id, y.at FROM ({failed_at} WHERE j.status IN (:oddly_failed) {failed_lately}) AS y
UNION SELECT y.id, y.at FROM ({timeless_failures}) AS y
UNION SELECT y.id, y.at FROM ({ended_failures}) AS y
) AS x ORDER BY x.at DESC LIMIT :limit) AS w
CROSS JOIN hammerwork_jobs j WHERE j.id = w.id
ORDER BY w.at DESC, j.id

-- name: parents
-- Reads the parents of some jobs, and their place.
SELECT j.id, j.depends_on, {ancestry} FROM hammerwork_jobs j WHERE j.id {among}

-- name: archived_parents
-- Reads the parents of some archived jobs.
SELECT j.id, j.depends_on, NULL FROM hammerwork_jobs_archive j WHERE j.id {among}
