-- Encrypted payloads.

-- name: of_jobs
-- Reads what the rows of encrypted jobs hold of their payloads.
SELECT j.id, j.payload, {sealed} FROM hammerwork_jobs j WHERE j.id {among} AND j.is_encrypted

-- name: of_archived
-- The same of archived jobs.
SELECT j.id, j.payload, {sealed} FROM hammerwork_jobs_archive j WHERE j.id IN (:ids) AND j.is_encrypted

-- name: is_used
-- Tells whether a queue holds encrypted jobs.
SELECT 1 FROM hammerwork_jobs j WHERE {only_encrypted} AND {same j.queue_name :queue} LIMIT 1
