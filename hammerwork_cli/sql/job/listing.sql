-- Lists of jobs.

-- name: list
-- The newest jobs, after a cursor. The original has no index on created_at alone, so without ours the table is
-- scanned once; the wide columns are read for the few jobs of the page only.
SELECT {node},
j.scheduled_at, j.max_attempts, j.dependency_status
FROM hammerwork_jobs j JOIN (
SELECT j.id FROM hammerwork_jobs j
WHERE {filtered}
/* if :cursor_at */ AND j.created_at <= :cursor_at
/* if :cursor_at */ AND (j.created_at < :cursor_at OR j.id < :cursor_id)
ORDER BY j.created_at DESC, j.id DESC LIMIT :limit) AS p ON p.id = j.id
ORDER BY j.created_at DESC, j.id DESC

-- name: by_prefix
-- Ids between the lowest and the highest that a prefix allows.
SELECT j.id FROM hammerwork_jobs j WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit

-- name: archived_by_prefix
-- The same of archived jobs.
SELECT j.id FROM hammerwork_jobs_archive j WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit
