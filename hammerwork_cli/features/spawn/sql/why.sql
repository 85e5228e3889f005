-- Why jobs have not started, or have failed.

-- name: dependency_statuses
-- Reads the dependency statuses of some jobs.
SELECT j.id, j.dependency_status FROM hammerwork_jobs j WHERE j.id IN (:ids)

-- name: lease
-- The last heartbeat and the end of the lease of a running job j of hammerwork (Rust), if its worker keeps one.
NULL, NULL

-- name: lease [leases]
CASE WHEN {leased_by_rust} THEN j.last_heartbeat_at END, CASE WHEN {leased_by_rust} THEN j.lease_expires_at END

-- name: open_jobs
-- Reads when some open jobs may run, and which of our workers has each and for how long it has been silent.
SELECT j.id, j.scheduled_at, j.max_attempts, j.dependency_status, w.name,
{silent_for}, w.lease_seconds, {lease}, {enabled}
FROM hammerwork_jobs j LEFT JOIN hammerwork_workers w ON w.id = j.claimed_by AND {still_claimed} AND w.ended_at IS NULL
WHERE j.id {among}

-- name: open_jobs [original]
SELECT j.id, j.scheduled_at, j.max_attempts, j.dependency_status, NULL, NULL, NULL, {lease}, {enabled}
FROM hammerwork_jobs j WHERE j.id {among}

-- name: webhooks_off
-- Lists the webhooks that are disabled.
SELECT w.id, w.name FROM hammerwork_webhooks w WHERE NOT w.enabled

-- name: deliveries
-- Reads to which webhooks deliveries are.
SELECT j.id, {webhook_of} FROM hammerwork_jobs j WHERE j.id {among}

-- name: late_jobs
-- Lists those of some jobs that are not due or wait for others.
SELECT j.id, j.scheduled_at, j.dependency_status FROM hammerwork_jobs j
WHERE j.id {among} AND (j.scheduled_at > :now OR j.dependency_status = 'waiting')

-- name: error_endings
-- Reads the ends of error messages, where a traceback names the error.
SELECT j.id, RIGHT(j.error_message, 500) FROM hammerwork_jobs j WHERE j.id IN (:ids)

-- name: error_endings [sqlite]
SELECT j.id, substr(j.error_message, -500) FROM hammerwork_jobs j WHERE j.id IN (:ids)
