-- Single jobs, lists of them, and changes to them. {node} is in shared.sql; j is the job.

-- name: by_prefix
-- Ids between the lowest and the highest that a prefix allows.
SELECT j.id FROM hammerwork_jobs j WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit

-- name: archived_by_prefix
-- The same of archived jobs.
SELECT j.id FROM hammerwork_jobs_archive j WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit

-- name: ended_at
COALESCE(j.completed_at, j.failed_at, j.timed_out_at, j.created_at)

-- name: chosen
-- The jobs of a models.JobFilter. Statuses come in every spelling, which partial indexes on one spelling cannot serve.
TRUE
AND {same j.queue_name :queue} -- when :queue
AND j.status IN (:statuses) -- when :statuses
AND (j.priority IN (:priorities) -- when :priorities
OR j.priority NOT BETWEEN 0 AND 4 -- when :normal
) -- when :priorities
AND j.created_at >= :since -- when :since
AND {ended_at} < :ended_before -- when :ended_before
AND {unarchived} -- when :unarchived

-- name: list
-- The newest jobs, after a cursor. The original has no index on created_at alone, so without ours the table is
-- scanned once; the wide columns are read for the few jobs of the page only.
SELECT {node},
j.scheduled_at, j.max_attempts, j.dependency_status
FROM hammerwork_jobs j JOIN (
SELECT j.id FROM hammerwork_jobs j
WHERE {chosen}
AND j.created_at <= :cursor_at -- when :cursor_at
AND (j.created_at < :cursor_at OR j.id < :cursor_id) -- when :cursor_at
ORDER BY j.created_at DESC, j.id DESC LIMIT :limit) AS p ON p.id = j.id
ORDER BY j.created_at DESC, j.id DESC

-- name: created_at
-- When a job was created.
SELECT j.created_at FROM hammerwork_jobs j WHERE j.id = :id

-- name: details
-- Everything about one job that is not binary. The last lines need 010 and 011.
SELECT {node},
j.scheduled_at, j.max_attempts, j.dependency_status, j.error_message, j.payload, j.result_data,
j.timeout_seconds, j.timed_out_at, j.cron_schedule, j.timezone, j.recurring, j.next_run_at, j.batch_id,
j.result_stored_at, j.result_expires_at, j.trace_id, j.correlation_id, j.parent_span_id, j.span_context
, j.archival_reason, j.archival_policy_applied -- when :archival
, j.is_encrypted, j.encryption_key_id, j.encryption_algorithm, length(j.encrypted_payload), -- when :encryption
j.payload_hash, j.retention_policy, j.retention_delete_at, j.encrypted_at -- when :encryption
FROM hammerwork_jobs j WHERE j.id = :id

-- name: archived_details
-- The same of an archived job.
SELECT {archived_node},
j.scheduled_at, j.max_attempts, j.dependency_status, j.error_message, j.payload, j.result,
j.timeout_seconds, j.timed_out_at, j.cron_schedule, j.timezone, j.recurring, j.next_run_at, j.batch_id,
NULL, j.result_ttl, j.trace_id, j.correlation_id, j.parent_span_id, j.span_context,
j.archival_reason, j.archived_by
, j.is_encrypted, j.encryption_key_id, j.encryption_algorithm, length(j.encrypted_payload), -- when :encryption
j.payload_hash, j.retention_policy, j.retention_delete_at, j.encrypted_at -- when :encryption
FROM hammerwork_jobs_archive j WHERE j.id = :id

-- name: groups
-- How many jobs a filter chooses, by queue and status.
SELECT j.queue_name, j.status, COUNT(*) FROM hammerwork_jobs j
WHERE {chosen}
GROUP BY {by_name j.queue_name}, j.status

-- name: any_held
-- Whether a filter chooses a job that waits for others, or failed because of them.
SELECT 1 FROM hammerwork_jobs j
WHERE {chosen}
AND j.dependency_status IN ('waiting', 'failed') LIMIT 1

-- name: ids
-- The next ids that a filter chooses, in the order of the primary key.
SELECT j.id FROM hammerwork_jobs j
WHERE {chosen}
AND j.id > :after -- when :after
ORDER BY j.id LIMIT :limit

-- name: lock
-- Some jobs as they are now, as far as a filter still chooses them, held until the transaction ends; in one order,
-- so that two of us do not deadlock.
SELECT j.id, j.queue_name, j.status, j.depends_on, j.dependency_status, {archived_at}, j.recurring, {ancestry}
FROM hammerwork_jobs j
WHERE j.id IN (:ids) AND
{chosen}
ORDER BY j.id
{lock_clause}

-- name: archived_statuses
-- Which status some archived jobs are in.
SELECT j.id, j.status FROM hammerwork_jobs_archive j WHERE j.id IN (:ids)

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

-- name: fail_dependents
-- What waited for a job that failed for good, or was spawned by it early.
UPDATE hammerwork_jobs SET status = 'Failed', failed_at = :now, error_message = :error, dependency_status = 'failed'
WHERE id IN (:ids) AND status IN (:statuses)

-- name: delete
-- Deletes jobs that are still in one of some statuses.
DELETE FROM hammerwork_jobs WHERE id IN (:ids) AND status IN (:statuses)

-- name: tied
-- What the state of its dependencies is, and the statuses that still matter: few rows, and there is an index.
j.dependency_status = :state AND j.status IN (:statuses)
AND NOT EXISTS (SELECT 1 FROM hammerwork_workflows w -- when :fail_fast
WHERE w.id = j.workflow_id AND w.failure_policy <> 'fail_fast') -- when :fail_fast

-- name: dependents [postgresql]
-- (parent, dependent) of some parents, for dependents in a state.
SELECT e.parent, j.id FROM hammerwork_jobs j CROSS JOIN LATERAL unnest(j.depends_on) AS e (parent)
WHERE {tied}
AND j.depends_on && ARRAY[:ids]::uuid[] AND e.parent IN (:ids)

-- name: dependents [postgresql jsonb]
SELECT e.parent, j.id FROM hammerwork_jobs j CROSS JOIN LATERAL jsonb_array_elements_text(
CASE jsonb_typeof(j.depends_on) WHEN 'array' THEN j.depends_on ELSE '[]' END) AS e (parent)
WHERE {tied}
AND lower(e.parent) IN (:ids)

-- name: dependents [mysql]
SELECT {as_id e.parent}, j.id FROM hammerwork_jobs j
JOIN JSON_TABLE(j.depends_on, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
WHERE {tied}
AND {as_id e.parent} IN (:ids)

-- name: dependents [mysql indexed]
SELECT j.first_parent, j.id FROM hammerwork_jobs j
WHERE {tied}
AND j.first_parent IN (:ids)
UNION ALL
SELECT {as_id e.parent}, j.id FROM hammerwork_jobs j
JOIN JSON_TABLE(j.depends_on, '$[*]' COLUMNS (place FOR ORDINALITY, parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
WHERE {tied}
AND j.parent_count > 1 AND e.place > 1 AND {as_id e.parent} IN (:ids)

-- name: dependents [sqlite]
SELECT lower(e.value), j.id FROM hammerwork_jobs j JOIN json_each(j.depends_on) AS e
WHERE {tied}
AND lower(e.value) IN (:ids)

-- name: insert
-- New jobs, many at a time. Arrays are never NULL: the original cannot read that.
INSERT INTO hammerwork_jobs (
id, queue_name, payload, status, priority, attempts, max_attempts, timeout_seconds, created_at, scheduled_at,
depends_on, dependents, dependency_status, workflow_id, workflow_name, trace_id, correlation_id, parent_span_id,
span_context
, started_at, completed_at, failed_at, error_message, cron_schedule, timezone, recurring, next_run_at, -- when :rare
result_storage_type, result_ttl_seconds, result_max_size_bytes -- when :rare
, retry_strategy -- when :strategies
, ancestry -- when :ancestries
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
