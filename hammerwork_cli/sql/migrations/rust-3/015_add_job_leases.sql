-- Version 3: leases of jobs

-- [postgresql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN last_heartbeat_at TIMESTAMPTZ,
    ADD COLUMN lease_expires_at TIMESTAMPTZ;
-- next
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_running_lease;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_running_lease ON hammerwork_jobs (lease_expires_at, started_at)
WHERE status = 'Running';

-- [mysql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN last_heartbeat_at TIMESTAMP(6) NULL,
    ADD COLUMN lease_expires_at TIMESTAMP(6) NULL,
    ADD INDEX idx_hammerwork_jobs_status_lease (status, lease_expires_at);
