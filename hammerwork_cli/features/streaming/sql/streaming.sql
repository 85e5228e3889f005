-- Streams, and the events that wait to be sent.

-- name: list
-- Lists the streams by name, or reads one.
SELECT :columns FROM hammerwork_streams s
/* if :id */ WHERE s.id = :id
ORDER BY s.name

-- name: to_send
-- Lists the streams that are enabled and have events to send.
SELECT :columns FROM hammerwork_streams s
WHERE s.enabled AND EXISTS (SELECT 1 FROM hammerwork_stream_events e WHERE e.stream_id = s.id AND e.sent_at IS NULL)
ORDER BY s.name

-- name: add
-- Adds a stream.
INSERT INTO hammerwork_streams (id, :columns, enabled, enabled_at, sent, failed, dropped, created_at, updated_at, updated_by)
VALUES (:id, :values, TRUE, :now, 0, 0, 0, :now, :now, :by)

-- name: update
-- Changes what somebody says of a stream.
UPDATE hammerwork_streams SET :said, updated_at = :now, updated_by = :by
/* if :others */ , enabled_at = :now
WHERE id = :id
/* if :seen */ AND updated_at = :seen

-- name: enable
-- Lets a stream take the events from now on.
UPDATE hammerwork_streams SET enabled = TRUE, disabled_reason = NULL, enabled_at = :now, failing_since = NULL,
updated_at = :now, updated_by = :by
WHERE id = :id AND NOT enabled

-- name: disable
-- Lets a stream take and send no further events.
UPDATE hammerwork_streams SET enabled = FALSE, disabled_reason = :reason, updated_at = :now, updated_by = :by
WHERE id = :id AND enabled

-- name: remove
-- Removes a stream.
DELETE FROM hammerwork_streams WHERE id = :id

-- name: remove_events
-- Removes events of a stream that is no more.
DELETE FROM hammerwork_stream_events WHERE stream_id = :id

-- name: unsent
-- Reads the next rows of a stream, with a number of events or somewhat more.
SELECT e.id, e.event_type, {bytes e.body}, e.created_at FROM (
SELECT x.id, SUM(x.events) OVER (ORDER BY x.id) - x.events AS earlier FROM (
SELECT f.id, f.events FROM hammerwork_stream_events f WHERE f.stream_id = :id AND f.sent_at IS NULL ORDER BY f.id LIMIT :limit
) AS x) AS n JOIN hammerwork_stream_events e ON e.id = n.id
WHERE n.earlier < :limit
ORDER BY e.id

-- name: body
-- Reads the events of a row, if it has as many as were read before.
SELECT {bytes e.body} FROM hammerwork_stream_events e WHERE e.id = :id AND e.events = :of

-- name: rewrite
-- Leaves a row those of its events that wait.
UPDATE hammerwork_stream_events SET events = :events, body = :body WHERE id = :id AND events = :of

-- name: has_sent
-- Deletes events that were sent.
DELETE FROM hammerwork_stream_events WHERE id IN (:ids)

-- name: keep_sent
-- Keeps events that were sent for a while, so that nobody adds them again.
UPDATE hammerwork_stream_events SET sent_at = :now WHERE id IN (:ids) AND sent_at IS NULL

-- name: forget_sent
-- Deletes events that were sent long ago.
DELETE FROM hammerwork_stream_events WHERE stream_id = :id AND sent_at < :before

-- name: count_sent
-- Notes that events of a stream were sent.
UPDATE hammerwork_streams SET sent = sent + :events, failing_since = NULL, last_error = NULL, last_sent_at = :now WHERE id = :id

-- name: count_failed
-- Notes that events of a stream could not be sent.
UPDATE hammerwork_streams SET failed = failed + 1, failing_since = COALESCE(failing_since, :now), last_error = :error
WHERE id = :id

-- name: count_dropped
-- Notes that events of a stream were dropped.
UPDATE hammerwork_streams SET dropped = dropped + :events, last_error = :error WHERE id = :id

-- name: backlog
-- Counts the events of a stream that wait, and reads when the first one happened.
SELECT COALESCE(SUM(e.events), 0),
(SELECT f.created_at FROM hammerwork_stream_events f WHERE f.stream_id = :id AND f.sent_at IS NULL ORDER BY f.id LIMIT 1)
FROM hammerwork_stream_events e WHERE e.stream_id = :id AND e.sent_at IS NULL

-- name: backlog_up_to
-- Counts the rows of a stream that wait, up to a limit, and their events; reads the first, the last that was counted, and the
-- last id of all, and when the first one happened. It reads the index alone, but for that time.
SELECT c.counted, c.events, c.first, c.last,
(SELECT MAX(e.id) FROM hammerwork_stream_events e WHERE e.stream_id = :stream AND e.sent_at IS NULL),
(SELECT e.created_at FROM hammerwork_stream_events e WHERE e.stream_id = :stream AND e.sent_at IS NULL ORDER BY e.id LIMIT 1)
FROM (SELECT COUNT(*) AS counted, COALESCE(SUM(x.events), 0) AS events, MIN(x.id) AS first, MAX(x.id) AS last FROM (
SELECT e.id, e.events FROM hammerwork_stream_events e WHERE e.stream_id = :stream AND e.sent_at IS NULL ORDER BY e.id LIMIT :limit
) AS x) AS c

-- name: newest
-- Lists the newest rows of a stream.
SELECT e.id, e.event_type, e.events FROM hammerwork_stream_events e
WHERE e.stream_id = :id AND e.sent_at IS NULL
ORDER BY e.id DESC LIMIT :limit

-- name: waiting_ends
-- Reads the next rows of a stream that are not about one job alone, of one type and since a time.
SELECT e.id, {bytes e.body}, e.created_at FROM hammerwork_stream_events e
WHERE e.stream_id = :id AND e.sent_at IS NULL AND e.job_id IS NULL AND {same e.event_type :type} AND e.created_at >= :since
AND e.id > :after
ORDER BY e.id LIMIT :limit

-- name: remove_orphans
-- Removes events of streams that are no more: a program that did not know it yet has written them.
DELETE FROM hammerwork_stream_events WHERE NOT EXISTS (
SELECT 1 FROM hammerwork_streams s WHERE s.id = hammerwork_stream_events.stream_id)

-- name: ended
-- Lists the next jobs that ended since a time, by the column of that time.
SELECT j.id, j.:ended FROM hammerwork_jobs j
WHERE j.:ended >= :since AND j.:ended <= :until AND j.status IN (:statuses)
/* if :after */ AND (j.:ended > :since OR j.id > :after)
ORDER BY j.:ended, j.id LIMIT :limit

-- name: bytes
-- A text, on SQLite as bytes: another program may have written some that are no text.
$1

-- name: bytes [sqlite]
CAST($1 AS BLOB)
