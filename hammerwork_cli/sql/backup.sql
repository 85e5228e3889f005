-- Whole rows of any table, for files of jobs. :table, :columns, :key and :owner are names, from models.backup.tables.

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

-- name: count
-- Counts the rows of a table.
SELECT COUNT(*) FROM :table

-- name: migrations
-- Lists the migrations that are applied.
SELECT migration_id FROM hammerwork_migrations ORDER BY migration_id
