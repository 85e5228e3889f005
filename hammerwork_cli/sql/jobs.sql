-- Single jobs and lists of them.

-- name: by_prefix
-- Ids between the lowest and the highest that a prefix allows.
SELECT j.id FROM hammerwork_jobs j WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit

-- name: archived_by_prefix
SELECT j.id FROM hammerwork_jobs_archive j WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit

-- name: insert
-- New jobs, many at a time. Arrays are never NULL: the original cannot read that.
INSERT INTO hammerwork_jobs (
id, queue_name, payload, status, priority, attempts, max_attempts, timeout_seconds, created_at, scheduled_at,
started_at, completed_at, failed_at, error_message, depends_on, dependents, dependency_status,
workflow_id, workflow_name, trace_id, correlation_id, parent_span_id, span_context)
VALUES :rows
