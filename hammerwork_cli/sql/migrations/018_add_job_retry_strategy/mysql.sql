ALTER TABLE hammerwork_jobs
    ADD COLUMN retry_strategy JSON NULL,
    ADD INDEX idx_hammerwork_jobs_batch_status (batch_id, status);
