-- Lists of jobs.

-- name: list
-- Lists the newest jobs after a cursor. hammerwork (Rust) has no index on created_at alone, so the table is scanned
-- once where 016 is missing; the wide columns are read only for the page.
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
-- Lists the ids between the lowest and the highest with a prefix.
SELECT j.id FROM hammerwork_jobs j WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit

-- name: archived_by_prefix
-- Lists the ids of archived jobs between the lowest and the highest with a prefix.
SELECT j.id FROM hammerwork_jobs_archive j WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit
