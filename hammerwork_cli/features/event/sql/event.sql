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

-- name: take_back
-- Deletes deliveries that have just been enqueued, although they were made and archived before.
DELETE FROM hammerwork_jobs WHERE id IN (:ids) AND status = 'Pending' AND attempts = 0 AND archived_at IS NULL

-- name: take_back [mysql]
DELETE j FROM hammerwork_jobs j {by_id} WHERE j.id IN (:ids) AND j.status = 'Pending' AND j.attempts = 0 AND j.archived_at IS NULL

-- name: stream
-- Adds events to streams that are not about jobs.
INSERT INTO hammerwork_stream_events (stream_id, event_type, body, created_at)
VALUES :rows

-- name: stream_many
-- Adds to a stream, in one row, what has happened to jobs, as they are now.
INSERT INTO hammerwork_stream_events (stream_id, event_type, events, created_at, body)
SELECT {the_stream}, {the_type}, COUNT(*), MIN({happened}), {snapshots}
FROM hammerwork_jobs j {by_id}
WHERE {concerned}
GROUP BY
/* if :by_creation */ j.created_at,
{if_large}

-- name: stream_each
-- Adds to a stream, in a row for each, what has happened to jobs, as they are now. With :late, only what waits in the stream
-- neither to be sent nor to be forgotten.
INSERT INTO hammerwork_stream_events (stream_id, event_type, job_id, created_at, body)
SELECT {the_stream}, {the_type}, j.id, {happened}, {snapshot}
FROM hammerwork_jobs j {by_id}
WHERE {concerned}
/* if :late */ AND NOT EXISTS (SELECT 1 FROM hammerwork_stream_events e WHERE e.job_id = j.id AND e.stream_id = :stream
/* if :late */ AND {same e.event_type :type} AND e.created_at = {happened})

-- name: concerned
-- Whether job j is one of :ids that a stream wants to know of; with :status, only if it has that.
j.id {among} AND NOT {same j.queue_name :deliveries}
/* if :status */ AND :status = {status j}
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :priorities */ AND j.priority IN (:priorities)

-- name: if_large
-- The id of a job that waits for many others: it does not share a row, which might become too large.
CASE WHEN LENGTH(j.depends_on) > 1000 THEN j.id END

-- name: if_large [postgresql]
CASE WHEN cardinality(j.depends_on) > 25 THEN j.id END

-- name: the_stream
-- The id of the stream.
:stream

-- name: the_stream [postgresql]
CAST(:stream AS uuid)

-- name: the_type
-- The type of the event.
:type

-- name: the_type [postgresql]
CAST(:type AS text)

-- name: happened
-- When it happened: without :at, when job j was created, or when it ended.
COALESCE(:at, CASE WHEN :ended = 1 THEN COALESCE(j.completed_at, j.failed_at, j.timed_out_at) ELSE j.created_at END)

-- name: happened [postgresql]
COALESCE(CAST(:at AS timestamptz),
CASE WHEN CAST(:ended AS integer) = 1 THEN COALESCE(j.completed_at, j.failed_at, j.timed_out_at) ELSE j.created_at END)

-- name: snapshots [postgresql]
-- The snapshots of several jobs, as a JSON list.
CAST(json_agg(json_build_array({columns})) AS text)

-- name: snapshots [mysql]
JSON_ARRAYAGG(JSON_ARRAY({columns}))

-- name: snapshots [sqlite]
json_group_array(json_array({columns}))

-- name: snapshot [postgresql]
-- The columns of event.model.EventJob, in order, as a JSON list.
CAST(json_build_array({columns}
/* if :payload */ , CAST(j.payload AS text)
) AS text)

-- name: snapshot [mysql]
JSON_ARRAY({columns}
/* if :payload */ , CAST(j.payload AS CHAR CHARACTER SET utf8mb4)
)

-- name: snapshot [sqlite]
json_array({columns}
/* if :payload */ , j.payload
)

-- name: columns
-- The columns of event.model.EventJob, in order, but for the payload.
j.id, j.queue_name, {status j}, j.priority, j.attempts, j.max_attempts, j.created_at, j.scheduled_at,
j.started_at, j.completed_at, COALESCE(j.failed_at, j.timed_out_at), {message}, {run_start j}, j.depends_on,
j.batch_id, j.workflow_id, j.trace_id, j.correlation_id, {ancestry}, j.is_encrypted

-- name: message
-- The beginning of the error of job j.
substr(j.error_message, 1, 500)

-- name: message [sqlite]
CAST(substr(j.error_message, 1, 500) AS TEXT)

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
