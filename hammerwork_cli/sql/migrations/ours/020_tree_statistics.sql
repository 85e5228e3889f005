-- Statistics of parents, on PostgreSQL

-- [postgresql]
-- The planner ignores the statistics of a partial index on an expression. Without others it assumes 200 different first
-- parents, and reads the whole table for about 100 of them.
-- from 14
CREATE STATISTICS stat_hammerwork_jobs_first_parent ON (depends_on[1]) FROM hammerwork_jobs;
-- next
-- from 14
CREATE STATISTICS stat_hammerwork_jobs_archive_first_parent ON (depends_on[1]) FROM hammerwork_jobs_archive;
-- next
-- before 14
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_any_first_parent;
-- next
-- before 14
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_any_first_parent ON hammerwork_jobs ((depends_on[1]));
-- next
-- before 14
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_archive_any_first_parent;
-- next
-- before 14
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_archive_any_first_parent ON hammerwork_jobs_archive ((depends_on[1]));
-- next
ANALYZE hammerwork_jobs;
-- next
ANALYZE hammerwork_jobs_archive;

-- [mysql sqlite]
-- Nothing to do: this database keeps statistics of the indexes of 015.
