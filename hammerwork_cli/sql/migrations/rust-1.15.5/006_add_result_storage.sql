-- Results of jobs

-- [postgresql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN result_data JSONB,
    ADD COLUMN result_stored_at TIMESTAMPTZ,
    ADD COLUMN result_expires_at TIMESTAMPTZ;
-- next
CREATE INDEX idx_hammerwork_jobs_result_expires_at ON hammerwork_jobs (result_expires_at)
WHERE result_expires_at IS NOT NULL;

-- [mysql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN result_data JSON NULL,
    ADD COLUMN result_stored_at TIMESTAMP(6) NULL,
    ADD COLUMN result_expires_at TIMESTAMP(6) NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_result_expires_at (result_expires_at);

-- [sqlite]
CREATE INDEX idx_hammerwork_jobs_result_expires_at ON hammerwork_jobs (result_expires_at)
WHERE result_expires_at IS NOT NULL;
