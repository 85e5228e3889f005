-- Events, for those who want them.

-- name: readers
-- Lists who wants events: webhooks and streams.
SELECT 'webhook', w.id, w.name, w.events, w.queues, w.priorities, w.include_payload, w.enabled_at, w.timeout_seconds, w.max_retries,
NULL
FROM hammerwork_webhooks w WHERE w.enabled
UNION ALL
SELECT 'stream', s.id, s.name, s.events, s.queues, s.priorities, s.include_payload, s.enabled_at, NULL, NULL, s.partitioning
FROM hammerwork_streams s WHERE s.enabled

-- name: jobs
-- Reads jobs for their events.
SELECT j.id, {readable j.queue_name}, {status j}, j.priority, j.attempts, j.max_attempts, j.created_at, j.scheduled_at, j.started_at,
j.completed_at, COALESCE(j.failed_at, j.timed_out_at), substr(j.error_message, 1, 500), {run_start j}, j.depends_on, j.batch_id,
j.workflow_id, {readable j.trace_id}, {readable j.correlation_id}, {ancestry}, j.is_encrypted
/* if :payloads */ , {readable j.payload}
FROM hammerwork_jobs j WHERE j.id {among}

-- name: deliver
-- Enqueues deliveries to webhooks, unless somebody else has noticed the same event.
INSERT INTO hammerwork_jobs (id, queue_name, payload, status, priority, attempts, max_attempts, timeout_seconds, created_at,
scheduled_at, depends_on, dependents, dependency_status)
VALUES :rows
{unless_it_exists hammerwork_jobs}

-- name: archived
-- Lists those of some jobs that are in the archive.
SELECT j.id FROM hammerwork_jobs_archive j WHERE j.id IN (:ids)

-- name: stream
-- Adds events to streams, unless somebody else has noticed the same ones.
INSERT INTO hammerwork_stream_events (stream_id, event_id, event_key, body, created_at)
VALUES :rows
ON CONFLICT (event_id, stream_id) DO NOTHING

-- name: stream [mysql]
INSERT INTO hammerwork_stream_events (stream_id, event_id, event_key, body, created_at)
VALUES :rows
ON DUPLICATE KEY UPDATE event_id = hammerwork_stream_events.event_id

-- name: failures
-- Lists jobs that failed for good since a time, whoever has changed them, with that time.
SELECT j.id, j.failed_at FROM hammerwork_jobs j
WHERE j.status IN ('Failed', 'Dead') AND j.failed_at >= :since AND j.failed_at <= :latest
ORDER BY j.failed_at LIMIT :limit

-- name: time_outs
-- Lists those of the newest jobs that timed out for good since a time, with that time: no index has it.
SELECT n.id, n.timed_out_at FROM (SELECT j.id, j.timed_out_at FROM {by_state}
WHERE j.status = 'TimedOut' AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
ORDER BY j.created_at DESC LIMIT 1000) AS n
WHERE n.timed_out_at >= :since AND n.timed_out_at <= :latest
ORDER BY n.timed_out_at LIMIT :limit
