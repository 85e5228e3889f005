-- What an operator does to jobs. j is the job.

-- name: lock
-- Some jobs as they are now, as far as a filter still chooses them, held until the transaction ends; in one order,
-- so that two of us do not deadlock.
SELECT j.id, j.queue_name, j.status, j.depends_on, j.dependency_status, {archived_at}, j.recurring, {ancestry}
FROM hammerwork_jobs j
WHERE j.id IN (:ids) AND
{filtered}
ORDER BY j.id
{lock_clause}

-- name: retry
-- A fresh attempt, as if the job had just been enqueued. Of a recurring job it is a run of its own, which spawns anew.
UPDATE hammerwork_jobs SET status = 'Pending', attempts = 0, scheduled_at = :now, started_at = NULL,
completed_at = NULL, failed_at = NULL, timed_out_at = NULL, error_message = NULL,
next_run_at = CASE WHEN recurring THEN :now ELSE next_run_at END,
result_data = NULL, result_stored_at = NULL, result_expires_at = NULL,
dependency_status = COALESCE(:dependency_status, dependency_status, 'none')
WHERE id IN (:ids) AND status IN (:statuses)

-- name: cancel
-- Cancels jobs that are still in one of some statuses.
UPDATE hammerwork_jobs SET status = 'Failed', failed_at = :now, error_message = :error
WHERE id IN (:ids) AND status IN (:statuses)

-- name: delete
-- Deletes jobs that are still in one of some statuses.
DELETE FROM hammerwork_jobs WHERE id IN (:ids) AND status IN (:statuses)
