-- Work on tables and indexes. :name is a name, from a list in the code or from the catalogue.

-- name: stored [postgresql]
-- Lists tables and their indexes: name, table, rows, bytes, dead rows, whether it is valid, last vacuum.
SELECT c.relname, c.relname, GREATEST(COALESCE(s.n_live_tup, 0), c.reltuples::bigint), pg_table_size(c.oid),
s.n_dead_tup, TRUE, GREATEST(s.last_vacuum, s.last_autovacuum)
FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind = 'r' AND pg_table_is_visible(c.oid) AND c.relname LIKE 'hammerwork\_%'
UNION ALL
SELECT i.relname, c.relname, NULL, pg_relation_size(i.oid), NULL, x.indisvalid, NULL
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
WHERE c.relkind = 'r' AND pg_table_is_visible(c.oid) AND c.relname LIKE 'hammerwork\_%'

-- name: stored [mysql]
-- The sizes of single indexes are in tables that few users may read.
SELECT t.table_name, t.table_name, t.table_rows, t.data_length, NULL, 1, NULL
FROM information_schema.tables t WHERE t.table_schema = DATABASE() AND t.table_name LIKE 'hammerwork\_%'
UNION ALL
SELECT CONCAT(t.table_name, ' (indexes)'), t.table_name, NULL, t.index_length, NULL, 1, NULL
FROM information_schema.tables t WHERE t.table_schema = DATABASE() AND t.table_name LIKE 'hammerwork\_%'

-- name: stored [sqlite]
SELECT t.name, t.tbl_name, NULL, (SELECT SUM(s.pgsize) FROM dbstat s WHERE s.name = t.name), NULL, 1, NULL
FROM sqlite_schema t WHERE t.type IN ('table', 'index') AND t.tbl_name LIKE 'hammerwork\_%' ESCAPE '\'

-- name: stored_without_sizes [sqlite]
-- Lists tables and indexes where SQLite was built without dbstat.
SELECT t.name, t.tbl_name, NULL, NULL, NULL, 1, NULL
FROM sqlite_schema t WHERE t.type IN ('table', 'index') AND t.tbl_name LIKE 'hammerwork\_%' ESCAPE '\'

-- name: knows_sizes [sqlite]
-- Tells whether SQLite was built with the table of sizes.
SELECT 1 FROM pragma_module_list m WHERE m.name LIKE 'dbstat'

-- name: oldest_transaction [postgresql]
-- Tells when the oldest open transaction began, other than this one. That of other users is hidden from most.
SELECT MIN(a.xact_start) FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'

-- name: oldest_transaction [mysql]
SELECT CONVERT_TZ(MIN(t.trx_started), 'SYSTEM', '+00:00')
FROM information_schema.innodb_trx t WHERE t.trx_mysql_thread_id <> CONNECTION_ID()

-- name: vacuum [postgresql]
-- Removes dead rows from a table, while everybody goes on.
VACUUM (ANALYZE) :name

-- name: vacuum [mysql]
-- Copies a table, without the space of deleted rows.
OPTIMIZE TABLE :name

-- name: vacuum [sqlite]
-- Copies the file.
VACUUM

-- name: analyze
-- Counts the values of a table's columns.
ANALYZE :name

-- name: analyze [mysql]
ANALYZE TABLE :name

-- name: reindex [postgresql]
-- Builds an index beside the old one, and puts it in its place.
REINDEX INDEX CONCURRENTLY :name

-- name: reindex [sqlite]
REINDEX :name

-- name: drop_index [postgresql]
-- Removes what an interrupted reindex has left.
DROP INDEX CONCURRENTLY IF EXISTS :name
