-- Webhooks.

-- name: list
-- Lists the webhooks by name, or reads one.
SELECT :columns FROM hammerwork_webhooks w
/* if :id */ WHERE w.id = :id
ORDER BY w.name

-- name: add
-- Adds a webhook.
INSERT INTO hammerwork_webhooks (id, :columns, enabled, enabled_at, delivered, failed, created_at, updated_at, updated_by)
VALUES (:id, :values, :enabled, :now, 0, 0, :now, :now, :by)

-- name: update
-- Changes what somebody says of a webhook.
UPDATE hammerwork_webhooks SET :said, updated_at = :now, updated_by = :by
/* if :others */ , enabled_at = :now
WHERE id = :id
/* if :seen */ AND updated_at = :seen

-- name: enable
-- Lets a webhook deliver the events from now on.
UPDATE hammerwork_webhooks SET enabled = TRUE, disabled_reason = NULL, enabled_at = :now, failing_since = NULL,
updated_at = :now, updated_by = :by
WHERE id = :id AND NOT enabled

-- name: disable
-- Lets a webhook deliver no further events.
UPDATE hammerwork_webhooks SET enabled = FALSE, disabled_reason = :reason, updated_at = :now, updated_by = :by
WHERE id = :id AND enabled

-- name: remove
-- Removes a webhook.
DELETE FROM hammerwork_webhooks WHERE id = :id

-- name: succeeded
-- Notes a delivery. If the answer to the COMMIT is lost, it runs again, and counts again only if another was noted between.
UPDATE hammerwork_webhooks SET delivered = delivered + CASE WHEN last_success_at = :now THEN 0 ELSE 1 END, failing_since = NULL,
last_success_at = :now, last_answer = :answer
WHERE id = :id

-- name: did_not
-- Notes an attempt that failed, and the last one of a delivery, too: once, like `succeeded`.
UPDATE hammerwork_webhooks SET failed = failed + CASE WHEN last_failure_at = :now THEN 0 ELSE :given_up END, failing_since = COALESCE(failing_since, :now),
last_failure_at = :now, last_answer = :answer
WHERE id = :id

-- name: failing
-- Lists enabled webhooks that have failed since a time. A clock that was behind for a moment may have stored since when: so
-- they were enabled before that time, too, and have not succeeded since.
SELECT :columns FROM hammerwork_webhooks w
WHERE w.enabled AND w.failing_since >= :earliest AND w.failing_since < :before AND w.enabled_at < :before
AND (w.last_success_at IS NULL OR w.last_success_at < :before)

-- name: deliveries
-- Lists the newest deliveries of a webhook, or of all.
SELECT j.id, {status j}, j.attempts, j.max_attempts, j.created_at, COALESCE(j.completed_at, j.failed_at, j.timed_out_at, j.started_at),
j.scheduled_at, j.payload, j.result_data, j.error_message
FROM hammerwork_jobs j
WHERE {same j.queue_name :queue}
/* if :webhook */ AND :webhook = {webhook_of}
/* if :since */ AND j.created_at >= :since
/* if :failed */ AND j.status IN (:failed) AND {status j} <> 'Cancelled'
ORDER BY j.created_at DESC, j.id DESC LIMIT :limit

-- name: any_open
-- Reads whether any delivery waits.
SELECT 1 FROM hammerwork_jobs j WHERE {same j.queue_name :queue} AND j.status IN ('Pending', 'Retrying') LIMIT 1

-- name: deliver_now
-- Makes the deliveries of a webhook due that wait for a later time.
UPDATE hammerwork_jobs AS j SET scheduled_at = :now
WHERE {same j.queue_name :queue} AND j.status IN ('Pending', 'Retrying') AND j.scheduled_at > :now AND :webhook = {webhook_of}

-- name: lock_disabled
-- Locks a webhook that is disabled, so that nobody enables it meanwhile.
SELECT w.id FROM hammerwork_webhooks w WHERE w.id = :id AND NOT w.enabled
{lock_clause}

-- name: put_off
-- Puts off the deliveries of a webhook that are due before a time.
UPDATE hammerwork_jobs AS j SET scheduled_at = :until
WHERE {same j.queue_name :queue} AND j.status IN ('Pending', 'Retrying') AND j.scheduled_at < :before AND :webhook = {webhook_of}

-- name: cancel
-- Cancels the deliveries of a webhook that wait.
UPDATE hammerwork_jobs AS j SET status = 'Failed', failed_at = :now, error_message = :error {unleased}
WHERE {same j.queue_name :queue} AND j.status IN ('Pending', 'Retrying') AND :webhook = {webhook_of}

-- name: counts
-- Counts the deliveries of each webhook by status, since a time.
SELECT {webhook_of}, {status j}, COUNT(*) FROM hammerwork_jobs j
WHERE {same j.queue_name :queue}
/* if :since */ AND j.created_at >= :since
GROUP BY 1, 2

-- name: waiting
-- Counts the deliveries of each webhook that wait for an attempt, up to a limit for all together.
SELECT x.webhook, COUNT(*) FROM (SELECT {webhook_of} AS webhook FROM hammerwork_jobs j
WHERE {same j.queue_name :queue} AND {is_ready} AND j.dependency_status = 'none'
ORDER BY j.scheduled_at LIMIT :limit) AS x
GROUP BY x.webhook
