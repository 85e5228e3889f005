-- Blocks and statements that several subjects use.

-- name: schema [postgresql]
-- Columns of the hammerwork tables that an unqualified name reaches.
SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND c.relname LIKE 'hammerwork\_%' AND pg_table_is_visible(c.oid)

-- name: schema [mysql]
SELECT table_name, column_name, column_type
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name LIKE 'hammerwork\_%'

-- name: schema [sqlite]
SELECT t.name, c.name, c.type
FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c
WHERE t.type = 'table' AND t.name LIKE 'hammerwork\_%' ESCAPE '\'

-- name: index_migration
-- Whether our own indexes are there.
SELECT 1 FROM hammerwork_migrations WHERE migration_id = '015_spawn_indexes'
