-- An index that lists the newest jobs

-- [postgresql]
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_created;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_created ON hammerwork_jobs (created_at, id);

-- [mysql]
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_hammerwork_jobs_created (created_at, id);

-- [sqlite]
CREATE INDEX idx_hammerwork_jobs_created ON hammerwork_jobs (created_at, id);
