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

-- name: with_open_jobs
-- Lists those of some queues that have encrypted jobs to run; it looks at the first :limit of these.
SELECT DISTINCT {by_name x.queue_name} FROM (SELECT j.queue_name FROM hammerwork_jobs j
WHERE {only_encrypted} AND j.status = 'Pending' AND {one_of j.queue_name :queues} LIMIT :limit) AS x
