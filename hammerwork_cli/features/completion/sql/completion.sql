-- Values for the completion of shells. A user presses TAB often, so each statement reads an index or a bounded number
-- of rows. The statements that SQLite gets name no fragments: cli/shell_completion.py reads them by itself.

-- name: next_queue
-- Reads the next name of a queue, and whether it begins with the prefix by the collation. MariaDB jumps along its index
-- only when each statement asks for one: DISTINCT reads the whole index, and a recursion over MIN reads it once for
-- each. Of names that the collation does not distinguish, one comes; {alike} has the others.
SELECT MIN(j.queue_name), LEFT(MIN(j.queue_name), CHAR_LENGTH(:prefix)) = :prefix FROM hammerwork_jobs j
WHERE j.queue_name >= :prefix
/* if :after */ AND j.queue_name > :after

-- name: alike
-- Lists the names that the collation does not distinguish from one, as far as a sample of its jobs shows them.
SELECT s.queue_name FROM (SELECT j.queue_name FROM hammerwork_jobs j WHERE j.queue_name = :name LIMIT :sample) AS s
GROUP BY CAST(s.queue_name AS BINARY), s.queue_name

-- name: queues [sqlite]
-- Lists the queues with waiting jobs, from name to name, and those of the first and last rows: the index of hammerwork
-- (Rust) has waiting jobs only.
WITH RECURSIVE waiting (name, number) AS (
SELECT (SELECT MIN(j.queue_name) FROM hammerwork_jobs j
WHERE j.status IN ('Pending', 'Retrying') AND j.queue_name >= :prefix), 1
UNION ALL
SELECT (SELECT MIN(j.queue_name) FROM hammerwork_jobs j
WHERE j.status IN ('Pending', 'Retrying') AND j.queue_name > w.name), w.number + 1
FROM waiting w WHERE w.name IS NOT NULL AND w.number < :limit)
SELECT w.name FROM waiting w WHERE w.name IS NOT NULL
UNION
SELECT f.queue_name FROM (SELECT j.queue_name FROM hammerwork_jobs j LIMIT :sample) f
UNION
SELECT l.queue_name FROM (SELECT j.queue_name FROM hammerwork_jobs j ORDER BY j.rowid DESC LIMIT :sample) l
ORDER BY 1

-- name: queues [postgresql]
-- Also lists those in the server's statistics, instead of those of the last rows.
WITH RECURSIVE waiting (name, number) AS (
SELECT (SELECT MIN(j.queue_name) FROM hammerwork_jobs j
WHERE j.status IN ('Pending', 'Retrying') AND j.queue_name >= :prefix), 1
UNION ALL
SELECT (SELECT MIN(j.queue_name) FROM hammerwork_jobs j
WHERE j.status IN ('Pending', 'Retrying') AND j.queue_name > w.name), w.number + 1
FROM waiting w WHERE w.name IS NOT NULL AND w.number < :limit)
SELECT w.name FROM waiting w WHERE w.name IS NOT NULL
UNION
SELECT f.queue_name FROM (SELECT j.queue_name FROM hammerwork_jobs j LIMIT :sample) f
UNION
SELECT unnest(s.most_common_vals::text::text[]) FROM pg_stats s
WHERE s.tablename = 'hammerwork_jobs' AND s.attname = 'queue_name' AND s.schemaname = ANY (current_schemas(FALSE))
ORDER BY 1

-- name: jobs
-- Lists the jobs whose ids begin with a prefix.
SELECT j.id, j.queue_name, j.status FROM hammerwork_jobs j
WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit

-- name: failed [sqlite]
-- Lists the jobs that failed last, which are the likeliest before anything is typed.
SELECT f.id, f.queue_name, f.status FROM (
SELECT * FROM (SELECT j.id, j.queue_name, j.status, j.failed_at FROM hammerwork_jobs j
WHERE j.status = 'Dead' AND j.failed_at IS NOT NULL ORDER BY j.failed_at DESC LIMIT :limit)
UNION ALL
SELECT * FROM (SELECT j.id, j.queue_name, j.status, j.failed_at FROM hammerwork_jobs j
WHERE j.status = 'Failed' AND j.failed_at IS NOT NULL ORDER BY j.failed_at DESC LIMIT :limit)) f
ORDER BY f.failed_at DESC LIMIT :limit

-- name: failed
SELECT f.id, f.queue_name, f.status FROM (
(SELECT j.id, j.queue_name, j.status, j.failed_at FROM hammerwork_jobs j
WHERE j.status = 'Dead' AND j.failed_at IS NOT NULL ORDER BY j.failed_at DESC LIMIT :limit)
UNION ALL
(SELECT j.id, j.queue_name, j.status, j.failed_at FROM hammerwork_jobs j
WHERE j.status = 'Failed' AND j.failed_at IS NOT NULL ORDER BY j.failed_at DESC LIMIT :limit)) f
ORDER BY f.failed_at DESC LIMIT :limit

-- name: workers
-- Lists the workers that have not stopped, the last heard of first.
SELECT w.name, w.state FROM hammerwork_workers w WHERE w.ended_at IS NULL ORDER BY w.heartbeat_at DESC LIMIT :limit

-- name: webhooks
-- Lists the webhooks by name.
SELECT w.name FROM hammerwork_webhooks w ORDER BY w.name LIMIT :limit

-- name: webhooks [mysql]
SELECT CONVERT(w.name USING utf8mb4) FROM hammerwork_webhooks w ORDER BY w.name LIMIT :limit

-- name: streams
-- Lists the streams by name.
SELECT s.name FROM hammerwork_streams s ORDER BY s.name LIMIT :limit

-- name: streams [mysql]
SELECT CONVERT(s.name USING utf8mb4) FROM hammerwork_streams s ORDER BY s.name LIMIT :limit

-- name: schedules
-- Lists the schedules by name.
SELECT s.name, s.expression FROM hammerwork_schedules s ORDER BY s.name LIMIT :limit

-- name: schedules [mysql]
SELECT CONVERT(s.name USING utf8mb4), s.expression FROM hammerwork_schedules s ORDER BY s.name LIMIT :limit
