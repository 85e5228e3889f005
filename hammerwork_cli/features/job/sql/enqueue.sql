-- New jobs.

-- name: insert
-- Inserts jobs, many at a time.
{new_rows}

-- name: insert_once
-- Inserts a job unless its id exists.
{new_rows}
{unless_it_exists hammerwork_jobs}

-- name: insert_and_notify
-- The same in one statement, which also wakes workers once it is committed: for transactions of applications.
{new_rows}
{unless_it_exists hammerwork_jobs}

-- name: insert_and_notify [postgresql]
WITH written AS (
{new_rows}
{unless_it_exists hammerwork_jobs}
RETURNING queue_name)
SELECT CASE WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify('hammerwork', queue_name) END FROM written

-- name: new_rows
-- The rows of new jobs. Arrays are never NULL, which hammerwork (Rust) cannot read.
INSERT INTO hammerwork_jobs (:columns)
VALUES :rows

-- name: add_callbacks
-- Adds callbacks, which workers look at from now on.
INSERT INTO hammerwork_watches (id, subject, subject_id, event, job, state, check_at, created_at, changed_at)
VALUES :rows

-- name: enqueued
-- The columns but the status and the payload that a second enqueue with the same id is compared with and answered from.
j.depends_on, j.priority, j.scheduled_at, j.dependency_status, {readable j.queue_name},
j.max_attempts, j.timeout_seconds, {readable j.trace_id}, {readable j.correlation_id}, j.cron_schedule, j.timezone, {is_encrypted}

-- name: stored
-- Reads jobs as they were enqueued.
SELECT j.id, j.status, {readable j.payload}, {enqueued} FROM hammerwork_jobs j WHERE j.id {among}
/* if :latest */ {as_committed}

-- name: as_committed
-- Reads what others have committed since the snapshot of the transaction. An insert does so, too.

-- name: as_committed [mysql]
LOCK IN SHARE MODE

-- name: archived_stored
-- Reads archived jobs as they were enqueued.
SELECT j.id, j.status, j.payload, {enqueued} FROM hammerwork_jobs_archive j WHERE j.id IN (:ids)
