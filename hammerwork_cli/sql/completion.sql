-- Values for the shells' completion. A TAB is pressed often, so each statement reads an index or a bounded number of
-- rows, never a large table. The statements for SQLite name nothing of another file: completion.py reads them itself.

-- name: next_queue
-- The first name after another one, and whether it begins so, as the collation has it. MariaDB jumps along its index only when asked name by name: DISTINCT reads all of
-- the index, and a recursion over MIN even once for each name. Of names that its collation takes for the same, one comes:
-- those_alike has the others.
SELECT MIN(j.queue_name), LEFT(MIN(j.queue_name), CHAR_LENGTH(:prefix)) = :prefix FROM hammerwork_jobs j
WHERE j.queue_name >= :prefix
/* if :after */ AND j.queue_name > :after

-- name: alike
-- The names that a collation takes for the same as one, as far as some of their jobs show them.
SELECT s.queue_name FROM (SELECT j.queue_name FROM hammerwork_jobs j WHERE j.queue_name = :name LIMIT :sample) AS s
GROUP BY CAST(s.queue_name AS BINARY), s.queue_name

-- name: queues [sqlite]
-- The original's index has waiting jobs only: their queues, from name to name, and those of the first and the last rows.
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
-- The original's index has waiting jobs only: their queues, from name to name; those of the first rows; and those that
-- the server's statistics know.
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

-- name: jobs [sqlite]
-- Jobs whose ids begin alike.
SELECT j.id, j.queue_name, j.status FROM hammerwork_jobs j
WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit

-- name: jobs
SELECT j.id, j.queue_name, j.status FROM hammerwork_jobs j
WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit

-- name: failed [sqlite]
-- What failed last: what somebody who has typed nothing yet most likely looks for.
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
