-- Everything about one job.

-- name: live
-- Reads everything about a job that is not binary. The last columns need 010 and 011.
SELECT {node},
{facts}
FROM hammerwork_jobs j WHERE j.id = :id

-- name: worker
-- Reads which of our workers has a Running job, for how long it has been silent, and how far its jobs are.
SELECT w.id, w.name, w.state, {silent_for}, w.lease_seconds, w.ended_at, w.main_stalled_seconds,
w.finisher_stalled_seconds, w.job_progress
FROM hammerwork_jobs j JOIN hammerwork_workers w ON w.id = j.claimed_by AND {still_claimed}
WHERE j.id = :id AND j.status = 'Running'

-- name: page
-- Reads everything about the next jobs that fit a filter, in the order of the primary key.
SELECT {node},
{facts}
FROM hammerwork_jobs j WHERE {filtered}
/* if :after */ AND j.id > :after
ORDER BY j.id LIMIT :limit

-- name: facts
-- Follows {node}: the other columns of a job that are not binary. :more are those that not every database has.
j.scheduled_at, j.max_attempts, j.dependency_status, j.recurring, {enabled}, j.error_message, j.payload, j.result_data,
j.timeout_seconds, j.timed_out_at, j.cron_schedule, j.timezone, j.recurring, j.next_run_at, j.batch_id,
j.result_stored_at, j.result_expires_at, j.trace_id, j.correlation_id, j.parent_span_id, j.span_context
/* if :archival */ , j.archival_reason, j.archival_policy_applied
/* if :encryption */ , j.is_encrypted, j.encryption_key_id, j.encryption_algorithm, length(j.encrypted_payload),
/* if :encryption */ j.payload_hash, j.retention_policy, j.retention_delete_at, j.encrypted_at
/* if :more */ , :more

-- name: archived_result_time
-- When the result of an archived job j was stored.
j.result_stored_at

-- name: archived_result_time [original]
NULL

-- name: archived
-- Reads everything about an archived job that is not binary.
SELECT {archived_node},
j.scheduled_at, j.max_attempts, j.dependency_status, j.recurring, {enabled}, j.error_message, j.payload, j.result,
j.timeout_seconds, j.timed_out_at, j.cron_schedule, j.timezone, j.recurring, j.next_run_at, j.batch_id,
{archived_result_time}, j.result_ttl, j.trace_id, j.correlation_id, j.parent_span_id, j.span_context,
j.archival_reason, j.archived_by
/* if :encryption */ , j.is_encrypted, j.encryption_key_id, j.encryption_algorithm, length(j.encrypted_payload),
/* if :encryption */ j.payload_hash, j.retention_policy, j.retention_delete_at, j.encrypted_at
/* if :more */ , :more
FROM hammerwork_jobs_archive j WHERE j.id = :id

-- name: stored_status
-- The status of job j for a program: it waits for a Pending job, whether that retries or not.
CASE WHEN {status j} = 'Cancelled' THEN 'Cancelled' ELSE j.status END

-- name: stored
-- Reads jobs for the program that enqueued them.
SELECT {stored_status}, j.error_message, j.started_at, {is_encrypted},
j.id, j.queue_name, j.payload, :columns FROM hammerwork_jobs j WHERE j.id {among} {as_it_is}

-- name: archived_stored
-- Reads archived jobs for the program that enqueued them. The archive packs the payload.
SELECT {stored_status}, j.error_message, j.started_at, {is_encrypted},
j.id, j.queue_name, j.payload, :columns FROM hammerwork_jobs_archive j WHERE j.id {among}
