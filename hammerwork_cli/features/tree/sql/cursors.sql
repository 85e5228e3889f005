-- Where a page of jobs begins.

-- name: created_at
-- Reads when a job was created.
SELECT j.created_at FROM hammerwork_jobs j WHERE j.id = :id
