-- Where a page of jobs begins.

-- name: created_at
-- When a job was created.
SELECT j.created_at FROM hammerwork_jobs j WHERE j.id = :id
