-- Moves of jobs to the archive and back.

-- name: delete_jobs
-- Deletes jobs that are in the archive now.
DELETE FROM hammerwork_jobs WHERE id {among}

-- name: delete_jobs [mysql]
-- Only a DELETE that names its table first takes an index.
DELETE j FROM hammerwork_jobs j {by_id} WHERE j.id {among}

-- name: lock
-- Locks archived jobs, in the order of their ids.
SELECT j.id, {ancestry}, j.status FROM hammerwork_jobs_archive j {by_id} WHERE j.id {among} ORDER BY j.id
{lock_clause}

-- name: delete
-- Deletes archived jobs that were archived before a time.
DELETE FROM hammerwork_jobs_archive WHERE id {among} AND archived_at < :before

-- name: delete [mysql]
-- See delete_jobs.
DELETE j FROM hammerwork_jobs_archive j {by_id} WHERE j.id {among} AND j.archived_at < :before
