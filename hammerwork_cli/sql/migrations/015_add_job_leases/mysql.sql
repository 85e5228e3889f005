ALTER TABLE hammerwork_jobs
    ADD COLUMN last_heartbeat_at TIMESTAMP(6) NULL,
    ADD COLUMN lease_expires_at TIMESTAMP(6) NULL,
    ADD INDEX idx_hammerwork_jobs_status_lease (status, lease_expires_at);
