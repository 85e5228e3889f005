-- Moves of jobs to the archive and back.

-- name: delete_jobs
-- Deletes jobs that are in the archive now.
DELETE FROM hammerwork_jobs WHERE id {among}

-- name: lock
-- Locks archived jobs, in the order of their ids.
SELECT j.id FROM hammerwork_jobs_archive j WHERE j.id {among} ORDER BY j.id
{lock_clause}

-- name: delete
-- Deletes archived jobs that were archived before a time.
DELETE FROM hammerwork_jobs_archive WHERE id {among} AND archived_at < :before
