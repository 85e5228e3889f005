-- How far running jobs are.

-- name: reported
-- Reads what the workers that have not ended last wrote of their jobs.
SELECT w.job_progress FROM hammerwork_workers w WHERE w.ended_at IS NULL AND w.job_progress IS NOT NULL
