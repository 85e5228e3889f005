DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_created;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_created ON hammerwork_jobs (created_at, id);
