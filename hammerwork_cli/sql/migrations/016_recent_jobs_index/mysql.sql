ALTER TABLE hammerwork_jobs
    ADD INDEX idx_hammerwork_jobs_created (created_at, id);
