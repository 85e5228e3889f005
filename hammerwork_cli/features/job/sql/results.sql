-- The results of handlers.

-- name: live
-- Reads the results of jobs, and when they expire.
SELECT j.id, j.result_data, j.result_expires_at FROM hammerwork_jobs j WHERE j.id {among}

-- name: archived
-- Reads the results of archived jobs, and when they expire.
SELECT j.id, j.result, j.result_ttl FROM hammerwork_jobs_archive j WHERE j.id IN (:ids)
