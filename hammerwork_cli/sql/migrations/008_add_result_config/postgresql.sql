ALTER TABLE hammerwork_jobs
    ADD COLUMN result_storage_type VARCHAR(20) DEFAULT 'none',
    ADD COLUMN result_ttl_seconds BIGINT,
    ADD COLUMN result_max_size_bytes BIGINT;
