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

-- name: archived_at
j.archived_at

-- name: archived_at [unarchivable]
NULL

-- name: config [postgresql]
(j.payload -> '_spawn_config')

-- name: config [mysql]
JSON_EXTRACT(j.payload, '$._spawn_config')

-- name: config [sqlite]
(j.payload -> '$._spawn_config')

-- name: node
-- The columns of models.TreeNode, in order, of hammerwork_jobs j.
j.id, j.queue_name, j.status, j.priority, j.attempts, j.depends_on, j.created_at, j.started_at, j.completed_at,
COALESCE(j.failed_at, j.timed_out_at), substr(j.error_message, 1, 500), {config},
j.workflow_id, j.workflow_name, {archived_at}

-- name: archived_node
-- The same of hammerwork_jobs_archive j; the packed payload stands where the spawn configuration will be.
j.id, j.queue_name, j.status, j.priority, j.attempts, j.depends_on, j.created_at, j.started_at, j.completed_at,
COALESCE(j.failed_at, j.timed_out_at), substr(j.error_message, 1, 500),
CASE WHEN length(j.payload) <= 65536 THEN j.payload END, NULL, NULL, j.archived_at
