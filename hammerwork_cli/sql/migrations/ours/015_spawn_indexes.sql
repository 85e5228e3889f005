-- Indexes that find children and spawning parents

-- [postgresql]
-- CONCURRENTLY: workers go on while these are built. A build that was broken off leaves an invalid index, which counts
-- as missing and is dropped before the next try.
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_spawn_config;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_spawn_config ON hammerwork_jobs (created_at DESC, id)
WHERE payload ? '_spawn_config';
-- next
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_first_parent;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_first_parent ON hammerwork_jobs ((depends_on[1]))
WHERE depends_on[1] IS NOT NULL;
-- next
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_joins;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_joins ON hammerwork_jobs (id)
WHERE cardinality(depends_on) > 1;
-- next
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_archive_first_parent;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_archive_first_parent ON hammerwork_jobs_archive ((depends_on[1]))
WHERE depends_on[1] IS NOT NULL;

-- [mysql]
-- Columns that the database computes, also for rows that other programs write. What is no id (a number, a list, a text
-- that is too long or not plain ASCII) is NULL: it must never stop an insert.
-- The indexes come in statements of their own: added with the columns, they would make the server copy the table.
ALTER TABLE hammerwork_jobs
    ADD COLUMN first_parent CHAR(36) COLLATE {collation} GENERATED ALWAYS AS (CASE
        WHEN JSON_TYPE(depends_on) = 'ARRAY' AND JSON_TYPE(JSON_EXTRACT(depends_on, '$[0]')) = 'STRING'
            AND LENGTH(JSON_UNQUOTE(JSON_EXTRACT(depends_on, '$[0]'))) <= 36
            AND LENGTH(JSON_UNQUOTE(JSON_EXTRACT(depends_on, '$[0]')))
                = CHAR_LENGTH(JSON_UNQUOTE(JSON_EXTRACT(depends_on, '$[0]')))
        THEN JSON_UNQUOTE(JSON_EXTRACT(depends_on, '$[0]'))
    END) VIRTUAL,
    ADD COLUMN parent_count INT GENERATED ALWAYS AS (JSON_LENGTH(depends_on)) VIRTUAL,
    ADD COLUMN has_spawn_config TINYINT GENERATED ALWAYS AS (
        COALESCE(JSON_CONTAINS_PATH(payload, 'one', '$._spawn_config'), 0)
    ) VIRTUAL;
-- next
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_hammerwork_jobs_first_parent (first_parent),
    ADD INDEX idx_hammerwork_jobs_parent_count (parent_count),
    ADD INDEX idx_hammerwork_jobs_spawn_config (has_spawn_config, created_at);
-- next
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN first_parent CHAR(36) COLLATE {collation} GENERATED ALWAYS AS (CASE
        WHEN JSON_TYPE(depends_on) = 'ARRAY' AND JSON_TYPE(JSON_EXTRACT(depends_on, '$[0]')) = 'STRING'
            AND LENGTH(JSON_UNQUOTE(JSON_EXTRACT(depends_on, '$[0]'))) <= 36
            AND LENGTH(JSON_UNQUOTE(JSON_EXTRACT(depends_on, '$[0]')))
                = CHAR_LENGTH(JSON_UNQUOTE(JSON_EXTRACT(depends_on, '$[0]')))
        THEN JSON_UNQUOTE(JSON_EXTRACT(depends_on, '$[0]'))
    END) VIRTUAL,
    ADD COLUMN parent_count INT GENERATED ALWAYS AS (JSON_LENGTH(depends_on)) VIRTUAL;
-- next
ALTER TABLE hammerwork_jobs_archive
    ADD INDEX idx_hammerwork_jobs_archive_first_parent (first_parent),
    ADD INDEX idx_hammerwork_jobs_archive_parent_count (parent_count);

-- [sqlite]
CREATE INDEX idx_hammerwork_jobs_spawn_config ON hammerwork_jobs (created_at DESC, id)
WHERE json_type(payload, '$._spawn_config') IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_first_parent ON hammerwork_jobs (lower(json_extract(depends_on, '$[0]')))
WHERE lower(json_extract(depends_on, '$[0]')) IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_joins ON hammerwork_jobs (id)
WHERE json_array_length(depends_on) > 1;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_first_parent ON hammerwork_jobs_archive (lower(json_extract(depends_on, '$[0]')))
WHERE lower(json_extract(depends_on, '$[0]')) IS NOT NULL;
