-- Version 3: retry strategies of jobs

-- [postgresql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN retry_strategy JSONB;
-- next
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_batch_status;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_batch_status ON hammerwork_jobs (batch_id, status)
WHERE batch_id IS NOT NULL;

-- [mysql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN retry_strategy JSON NULL,
    ADD INDEX idx_hammerwork_jobs_batch_status (batch_id, status);
