-- The bookkeeping of migrations. The migrations themselves are in migrations/.

-- name: tracking_table [postgresql]
-- Creates the table of applied migrations, which is that of hammerwork (Rust).
CREATE TABLE IF NOT EXISTS hammerwork_migrations (
    migration_id VARCHAR PRIMARY KEY,
    executed_at TIMESTAMPTZ NOT NULL,
    execution_time_ms BIGINT NOT NULL
)

-- name: tracking_table [mysql]
CREATE TABLE IF NOT EXISTS hammerwork_migrations (
    migration_id VARCHAR(255) NOT NULL PRIMARY KEY,
    executed_at TIMESTAMP(6) NOT NULL,
    execution_time_ms BIGINT NOT NULL
) ENGINE = InnoDB

-- name: tracking_table [sqlite]
CREATE TABLE IF NOT EXISTS hammerwork_migrations (
    migration_id TEXT NOT NULL PRIMARY KEY,
    executed_at TEXT NOT NULL,
    execution_time_ms INTEGER NOT NULL
) STRICT

-- name: recorded
-- Lists the applied migrations.
SELECT migration_id, executed_at, execution_time_ms FROM hammerwork_migrations

-- name: record
-- Records a migration as applied.
INSERT INTO hammerwork_migrations (migration_id, executed_at, execution_time_ms)
VALUES (:migration_id, :executed_at, :execution_time_ms)
ON CONFLICT DO NOTHING

-- name: record [mysql]
INSERT INTO hammerwork_migrations (migration_id, executed_at, execution_time_ms)
VALUES (:migration_id, :executed_at, :execution_time_ms)
ON DUPLICATE KEY UPDATE migration_id = migration_id

-- name: objects [postgresql]
-- Lists the existing tables, columns and indexes, in the words of a migration's steps, and which columns are JSONB. An
-- index whose build was interrupted does not count.
SELECT 'table ' || c.relname FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND c.relname LIKE 'hammerwork\_%' AND pg_table_is_visible(c.oid)
UNION ALL
SELECT 'column ' || c.relname || '.' || a.attname FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND c.relname LIKE 'hammerwork\_%' AND pg_table_is_visible(c.oid)
UNION ALL
SELECT 'type ' || c.relname || '.' || a.attname || ' JSONB' FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND c.relname LIKE 'hammerwork\_%' AND pg_table_is_visible(c.oid)
AND a.atttypid = 'jsonb'::regtype
UNION ALL
SELECT 'index ' || i.relname FROM pg_index x
JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_class i ON i.oid = x.indexrelid
WHERE c.relname LIKE 'hammerwork\_%' AND pg_table_is_visible(c.oid) AND x.indisvalid
UNION ALL
SELECT 'check ' || k.conname FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype = 'c' AND c.relname LIKE 'hammerwork\_%' AND pg_table_is_visible(c.oid)
UNION ALL
SELECT 'trigger ' || t.tgname FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND c.relname LIKE 'hammerwork\_%' AND pg_table_is_visible(c.oid)
UNION ALL
SELECT 'function ' || p.proname FROM pg_proc p
WHERE p.proname LIKE '%hammerwork\_%' AND pg_function_is_visible(p.oid)
UNION ALL
SELECT 'statistics ' || s.stxname FROM pg_statistic_ext s
JOIN pg_class c ON c.oid = s.stxrelid
WHERE c.relname LIKE 'hammerwork\_%' AND pg_table_is_visible(c.oid)

-- name: objects [mysql]
SELECT CONCAT('table ', table_name) FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name LIKE 'hammerwork\_%' AND table_type <> 'VIEW'
UNION ALL
SELECT CONCAT('column ', table_name, '.', column_name) FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name LIKE 'hammerwork\_%'
UNION ALL
SELECT DISTINCT CONCAT('index ', index_name) FROM information_schema.statistics
WHERE table_schema = DATABASE() AND table_name LIKE 'hammerwork\_%'
UNION ALL
SELECT CONCAT('check ', constraint_name) FROM information_schema.table_constraints
WHERE table_schema = DATABASE() AND table_name LIKE 'hammerwork\_%' AND constraint_type = 'CHECK'

-- name: objects [sqlite]
SELECT type || ' ' || name FROM sqlite_schema
WHERE tbl_name LIKE 'hammerwork\_%' ESCAPE '\'
UNION ALL
SELECT 'column ' || t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c
WHERE t.type = 'table' AND t.name LIKE 'hammerwork\_%' ESCAPE '\'

-- name: version [postgresql]
-- Tells the major version of the server.
SELECT current_setting('server_version_num')::int / 10000

-- name: lock [postgresql]
-- Tells whether nobody else migrates. A transaction holds the lock, so that it works through a pooler. The caller
-- polls, because CREATE INDEX CONCURRENTLY waits for every running statement, also for one that waits for a lock.
SELECT pg_try_advisory_xact_lock(hashtext('hammerwork'), hashtext('migrations'))

-- name: lock [mysql]
-- Takes turns on one server. The lock is local to a node, so nothing depends on it: see queries/migrations.py.
SELECT GET_LOCK(CONCAT('hammerwork migrations ', LEFT(SHA2(DATABASE(), 256), 40)), 0)

-- name: database_name [mysql]
-- Reads the name of the database. MySQL 9.6 and newer have no SHA1(), which names the lock of hammerwork (Rust).
SELECT DATABASE()

-- name: rust_lock [postgresql]
-- Tells whether hammerwork (Rust) does not migrate. It holds this lock for its session; here, a transaction holds it, so
-- that a pooler of transactions keeps it as well.
SELECT pg_try_advisory_xact_lock(x'686d72776b6d6967'::bigint)

-- name: rust_lock [mysql]
-- Tells whether hammerwork (Rust) does not migrate.
SELECT GET_LOCK(CONCAT('hammerwork_migrations:', :digest), 0)

-- name: rust_unlock [mysql]
-- Lets hammerwork (Rust) migrate.
SELECT RELEASE_LOCK(CONCAT('hammerwork_migrations:', :digest))

-- name: begin_turn [postgresql]
-- Begins the transaction that holds the locks.
BEGIN ISOLATION LEVEL READ COMMITTED

-- name: end_turn [postgresql]
-- Gives up the locks.
ROLLBACK

-- name: in_the_way [postgresql]
-- Tells whether a statement waits for the end of this transaction, or of one that waits for the lock of hammerwork (Rust).
-- CREATE INDEX CONCURRENTLY waits for every transaction in which a statement ran at a certain moment, also for one that
-- waits for the lock or holds it. The server takes that for no deadlock, because it is another session that holds the lock.
SELECT EXISTS (
    SELECT FROM pg_locks l JOIN pg_locks waiting ON waiting.virtualxid = l.virtualtransaction
    WHERE waiting.locktype = 'virtualxid' AND NOT waiting.granted
    AND l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (
        l.pid = pg_backend_pid()
        OR l.classid = 1752003191 AND l.objid = 1802332519 AND l.objsubid = 1 AND NOT l.granted
    )
)

-- name: rust_session [postgresql]
-- Reads the number of the session that holds the lock of hammerwork (Rust).
SELECT l.pid FROM pg_locks l
WHERE l.locktype = 'advisory' AND l.classid = 1752003191 AND l.objid = 1802332519 AND l.objsubid = 1
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.granted

-- name: rust_session [mysql]
SELECT IS_USED_LOCK(CONCAT('hammerwork_migrations:', :digest))

-- name: lock_patience [postgresql]
-- Lets the holder of the lock take its time.
SELECT set_config('idle_in_transaction_session_timeout', '0', TRUE)

-- name: unlock [mysql]
-- Lets the next run begin.
SELECT RELEASE_LOCK(CONCAT('hammerwork migrations ', LEFT(SHA2(DATABASE(), 256), 40)))

-- name: strategies [postgresql]
-- Counts all jobs, and those that have a retry strategy.
SELECT COUNT(*), COUNT(retry_strategy) FROM hammerwork_jobs

-- name: indexed_virtual_columns [mysql]
-- Lists the tables that have an index on a virtual column: MariaDB writes all of their rows again to add another column.
SELECT DISTINCT c.table_name FROM information_schema.columns c
JOIN information_schema.statistics s
    ON s.table_schema = c.table_schema AND s.table_name = c.table_name AND s.column_name = c.column_name
WHERE c.table_schema = DATABASE() AND c.table_name LIKE 'hammerwork\_%' AND c.extra LIKE 'VIRTUAL%'

-- name: collation [mysql]
-- Reads the collation of ids: that of the jobs' ids, else the database's own if it holds every character.
SELECT COALESCE(
    (
        SELECT MIN(collation_name) FROM information_schema.columns
        WHERE table_schema = DATABASE() AND table_name = 'hammerwork_jobs' AND column_name = 'id'
    ),
    IF(@@collation_database LIKE 'utf8mb4%', @@collation_database, 'utf8mb4_general_ci')
)

-- name: plain_timestamps [mysql]
-- Tells whether a TIMESTAMP without a default has none.
SELECT @@explicit_defaults_for_timestamp

-- name: want_plain_timestamps [mysql]
-- Turns off the default and the ON UPDATE that older MariaDB gives the first TIMESTAMP of a table.
SET SESSION explicit_defaults_for_timestamp = 1

-- name: count_rows
-- Counts the rows of a table.
SELECT COUNT(*) FROM :table

-- name: drop
-- Drops tables; several in one statement where keys refer from one to another.
DROP TABLE IF EXISTS :tables

-- name: drop_function [postgresql]
-- Drops the function of a trigger, which went with its table.
DROP FUNCTION IF EXISTS update_hammerwork_queue_pause_updated_at()
