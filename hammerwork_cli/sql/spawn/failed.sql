-- The jobs that failed last.

-- name: failed_lately
-- In this order the index on statuses and the times of failures is read from its end.
AND j.failed_at IS NOT NULL
/* if :since */ AND j.failed_at >= :since
ORDER BY j.failed_at DESC LIMIT :limit

-- name: failed_at
-- Jobs with the time at which they failed: an index has both.
SELECT j.id, j.failed_at AS at FROM hammerwork_jobs j

-- name: timeless_failures
-- The original gives jobs that timed out no failed_at. In an order that the index on all jobs by their age does not have:
-- where there are none, that would be read from one end to the other.
SELECT j.id, j.created_at AS at FROM hammerwork_jobs j
WHERE j.status IN (:failed) AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
/* if :since */ AND j.created_at >= :since
ORDER BY j.status DESC, j.created_at DESC LIMIT :limit

-- name: newest
-- The jobs that failed last, with their parents.
SELECT j.id, j.depends_on, COALESCE(j.failed_at, j.timed_out_at), CASE WHEN {has_config} THEN 1 ELSE 0 END
FROM (SELECT x.id, x.at FROM (
SELECT y.id, y.at FROM ({failed_at} WHERE j.status = 'Failed' {failed_lately}) AS y
UNION SELECT y.id, y.at FROM ({failed_at} WHERE j.status = 'Dead' {failed_lately}) AS y
UNION SELECT y.id, y.at FROM ({failed_at} WHERE j.status = 'TimedOut' {failed_lately}) AS y
UNION SELECT y.id, y.at FROM ({failed_at} WHERE j.status IN (:oddly_failed) {failed_lately}) AS y
UNION SELECT y.id, y.at FROM ({timeless_failures}) AS y
) AS x ORDER BY x.at DESC LIMIT :limit) AS w
CROSS JOIN hammerwork_jobs j WHERE j.id = w.id
ORDER BY w.at DESC, j.id
