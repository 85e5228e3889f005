-- What handlers returned.

-- name: live
-- What some jobs returned, and until when it counts.
SELECT j.id, j.result_data, j.result_expires_at FROM hammerwork_jobs j WHERE j.id {among}

-- name: archived
-- The same of archived jobs.
SELECT j.id, j.result, j.result_ttl FROM hammerwork_jobs_archive j WHERE j.id IN (:ids)
