-- New jobs.

-- name: insert
-- New jobs, many at a time. Arrays are never NULL: the original cannot read that.
INSERT INTO hammerwork_jobs (
id, queue_name, payload, status, priority, attempts, max_attempts, timeout_seconds, created_at, scheduled_at,
depends_on, dependents, dependency_status, workflow_id, workflow_name, trace_id, correlation_id, parent_span_id,
span_context
/* if :rare */ , started_at, completed_at, failed_at, error_message, cron_schedule, timezone, recurring, next_run_at,
/* if :rare */ result_storage_type, result_ttl_seconds, result_max_size_bytes
/* if :strategies */ , retry_strategy
/* if :ancestries */ , ancestry
)
VALUES :rows

-- name: insert_ignored [postgresql]
-- What follows the rows of an insert that leaves a job with the same id as it is.
ON CONFLICT (id) DO NOTHING

-- name: insert_ignored [sqlite]
ON CONFLICT (id) DO NOTHING

-- name: insert_ignored [mysql]
ON DUPLICATE KEY UPDATE id = hammerwork_jobs.id

-- name: insert_once
-- A new job, unless there is one with its id.
{insert}
{insert_ignored}

-- name: enqueued
-- What a second enqueue under the same id is compared with, and what it is answered with.
j.status, j.payload, j.depends_on, j.priority, j.scheduled_at, j.dependency_status, j.queue_name, j.max_attempts,
j.timeout_seconds, j.trace_id, j.correlation_id, j.cron_schedule, j.timezone

-- name: stored
-- Jobs as they were enqueued.
SELECT j.id, {enqueued} FROM hammerwork_jobs j WHERE j.id {among}

-- name: archived_stored
-- The same of archived jobs.
SELECT j.id, {enqueued} FROM hammerwork_jobs_archive j WHERE j.id IN (:ids)
