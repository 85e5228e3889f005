-- CONCURRENTLY: workers go on while these are built. A build that was broken off leaves an invalid index, which counts
-- as missing and is dropped before the next try.
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_spawn_config;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_spawn_config ON hammerwork_jobs (created_at DESC, id)
WHERE payload ? '_spawn_config';
-- next
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_first_parent;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_first_parent ON hammerwork_jobs ((depends_on[1]))
WHERE depends_on[1] IS NOT NULL;
-- next
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_joins;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_joins ON hammerwork_jobs (id)
WHERE cardinality(depends_on) > 1;
-- next
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_archive_first_parent;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_archive_first_parent ON hammerwork_jobs_archive ((depends_on[1]))
WHERE depends_on[1] IS NOT NULL;
