-- Rescuing the jobs of lost workers.

-- name: lock_jobs
-- Locks jobs of a lost worker, except those that another transaction has locked.
SELECT id, attempts, max_attempts, recurring, cron_schedule, timezone, next_run_at, started_at, claimed_by
FROM hammerwork_jobs
WHERE {of_this_worker}
ORDER BY id LIMIT :limit
{skip_locked}

-- name: abandoned
-- Finds a job whose lease is over that a worker of hammerwork (Rust) kept.
SELECT 1 FROM hammerwork_jobs j WHERE j.status = 'Running' AND j.lease_expires_at < :now AND {leased_by_rust} LIMIT 1

-- name: leases_ahead
-- Lists jobs of workers of hammerwork (Rust) whose last heartbeat lies in the future, and their leases beyond that,
-- of which that program's own index tells.
SELECT j.id, j.queue_name, j.started_at, j.last_heartbeat_at, j.lease_expires_at FROM hammerwork_jobs j
WHERE j.status = 'Running' AND j.lease_expires_at > :latest AND j.last_heartbeat_at > :latest
AND j.lease_expires_at > j.last_heartbeat_at AND {leased_by_rust} LIMIT :limit

-- name: put_lease_back
-- Lets a lease begin now, unless it has been renewed.
UPDATE hammerwork_jobs SET lease_expires_at = :until, last_heartbeat_at = :renewed
WHERE id = :id AND status = 'Running' AND last_heartbeat_at = :seen

-- name: retry
-- Gives jobs with attempts left to the next worker.
UPDATE hammerwork_jobs {by_id} SET status = 'Pending', started_at = NULL, claim_token = NULL, claimed_by = NULL,
claimed_at = NULL, claim_losses = {one_more claim_losses}, error_message = :error {unleased}
WHERE id {among} AND {of_this_worker}

-- name: schedule_next_run
-- Schedules the next occurrence of recurring jobs that were lost in their last attempt.
UPDATE hammerwork_jobs {by_id} SET status = 'Pending', attempts = 0, scheduled_at = :at, next_run_at = :at, started_at = NULL,
claim_token = NULL, claimed_by = NULL, claimed_at = NULL, claim_losses = {one_more claim_losses},
error_message = :error {unleased}
WHERE id {among} AND {of_this_worker}

-- name: discard
-- Marks other jobs that were lost in their last attempt as dead.
UPDATE hammerwork_jobs {by_id} SET status = 'Dead', failed_at = :now, claim_token = NULL,
claim_losses = {one_more claim_losses}, error_message = :error {unleased}
WHERE id {among} AND {of_this_worker}
