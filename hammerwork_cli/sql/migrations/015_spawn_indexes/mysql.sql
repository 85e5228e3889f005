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
