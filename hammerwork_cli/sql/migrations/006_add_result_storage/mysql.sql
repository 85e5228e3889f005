ALTER TABLE hammerwork_jobs
    ADD COLUMN result_data JSON NULL,
    ADD COLUMN result_stored_at TIMESTAMP(6) NULL,
    ADD COLUMN result_expires_at TIMESTAMP(6) NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_result_expires_at (result_expires_at);
