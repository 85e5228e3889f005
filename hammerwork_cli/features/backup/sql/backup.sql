-- Whole rows of any table, for files of jobs. :table, :key and :owner are names, from models.backup.tables, and :columns
-- those that a database has.

-- name: columns [postgresql]
-- Lists the columns of a table that can be written, with their whole types.
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relkind IN ('r', 'p') AND c.relname = :name AND pg_table_is_visible(c.oid)
AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''

-- name: columns [mysql]
SELECT column_name, column_type FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = :name AND COALESCE(generation_expression, '') = ''

-- name: columns [sqlite]
SELECT c.name, c.type FROM pragma_table_xinfo(:name) c WHERE c.hidden = 0

-- name: page
-- Reads the next rows of a table, in the order of the first column of its key.
SELECT :columns FROM :table
WHERE TRUE
/* if :after */ AND :key > :after
ORDER BY :key LIMIT :limit

-- name: of_owner
-- Reads the rows of some owners: jobs by their ids, or records by the jobs that they belong to.
SELECT :columns FROM :table WHERE :owner {among}

-- name: insert
-- Inserts rows.
INSERT INTO :table (:columns)
VALUES :rows

-- name: delete
-- Deletes the rows of some owners, to put others in their place.
DELETE FROM :table WHERE :owner {among}

-- name: delete_one
-- Deletes one row of an owner that may have several, to put another in its place.
DELETE FROM :table WHERE :owner = :id AND :second = :value
/* if :third */ AND :third = :other

-- name: delete_named
-- Deletes the pause or the policy of a queue.
DELETE FROM :table WHERE {same queue_name :queue}

-- name: collation [mysql]
-- Tells how the keys of a table are compared; nothing for bytes.
SELECT collation_name FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = :table AND column_name = :column

-- name: alike [mysql]
-- Lists pairs of names that a key takes for one: its collation ignores letter case, accents and trailing spaces.
SELECT MIN({exactly n.name}), MAX({exactly n.name})
FROM JSON_TABLE(:names, '$[*]' COLUMNS (name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$')) AS n
GROUP BY CONVERT(n.name USING :charset) COLLATE :collation
HAVING COUNT(DISTINCT {exactly n.name}) > 1

-- name: archived_ids
-- Lists the ids of the next archived jobs that fit a filter, in the order of the primary key.
SELECT j.id FROM hammerwork_jobs_archive j
WHERE TRUE
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :statuses */ AND j.status IN (:statuses)
/* if :derived */ AND {status j} IN (:derived)
/* if :since */ AND j.created_at >= :since
/* if :after */ AND j.id > :after
ORDER BY j.id LIMIT :limit

-- name: running
-- Counts the jobs that run.
SELECT COUNT(*) FROM hammerwork_jobs j WHERE j.status IN (:statuses)

-- name: queues
-- Lists the queues that have jobs.
SELECT j.queue_name FROM hammerwork_jobs j GROUP BY {by_name j.queue_name}

-- name: count
-- Counts the rows of a table.
SELECT COUNT(*) FROM :table

-- name: migrations
-- Lists the migrations that are applied.
SELECT migration_id FROM hammerwork_migrations ORDER BY migration_id
