-- The changes that an operator makes to jobs.

-- name: lock
-- Locks those of some jobs that still fit a filter, in the order of their ids, so that two transactions do not
-- deadlock; or only reads them.
SELECT j.id, j.queue_name, j.status, j.depends_on, j.dependency_status, {archived_at}, j.recurring, {ancestry},
{status j}, j.workflow_id
FROM hammerwork_jobs j {by_id}
WHERE j.id IN (:ids) AND
{filtered}
ORDER BY j.id
/* if :locks */ {lock_clause}

-- name: due
-- When a retried job is due: when it was, if it has not started, unless that has passed or its operator wants it now.
CASE WHEN scheduled_at > :now AND started_at IS NULL AND :at_once = 0 THEN scheduled_at ELSE :now END

-- name: retry
-- Gives jobs a fresh attempt, as if they had just been enqueued. A recurring job that was due gets an extra run, which may
-- spawn.
UPDATE hammerwork_jobs {by_id} SET status = 'Pending', attempts = 0, scheduled_at = {due}, started_at = NULL,
completed_at = NULL, failed_at = NULL, timed_out_at = NULL, error_message = NULL,
next_run_at = CASE WHEN recurring THEN {due} ELSE next_run_at END,
result_data = NULL, result_stored_at = NULL, result_expires_at = NULL,
dependency_status = COALESCE(:dependency_status, dependency_status, 'none') {unleased}
WHERE id IN (:ids) AND status IN (:statuses)

-- name: cancel
-- Cancels jobs that are still in one of some statuses.
UPDATE hammerwork_jobs {by_id} SET status = 'Failed', failed_at = :now, error_message = :error {unleased}
WHERE id IN (:ids) AND status IN (:statuses)

-- name: delete
-- Deletes jobs that are still in one of some statuses.
DELETE FROM hammerwork_jobs WHERE id IN (:ids) AND status IN (:statuses)

-- name: delete [mysql]
-- Only a DELETE that names its table first takes an index.
DELETE j FROM hammerwork_jobs j {by_id} WHERE j.id IN (:ids) AND j.status IN (:statuses)
