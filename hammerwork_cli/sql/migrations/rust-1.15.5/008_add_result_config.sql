-- Storage of results

-- [postgresql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN result_storage_type VARCHAR(20) DEFAULT 'none',
    ADD COLUMN result_ttl_seconds BIGINT,
    ADD COLUMN result_max_size_bytes BIGINT;

-- [mysql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN result_storage_type VARCHAR(20) DEFAULT 'none',
    ADD COLUMN result_ttl_seconds BIGINT NULL,
    ADD COLUMN result_max_size_bytes BIGINT NULL;

-- [sqlite]
-- The columns are there since 001.
