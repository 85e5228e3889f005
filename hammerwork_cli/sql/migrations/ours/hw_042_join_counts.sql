-- Counts of jobs that are never negative
--
-- A count that is negative was wrong before. Workers count the jobs of such a join anew, since it was last compared in 1970.

-- [postgresql]
UPDATE hammerwork_joins SET open_jobs = GREATEST(open_jobs, 0), failed_jobs = GREATEST(failed_jobs, 0),
checked_at = '1970-01-01 00:00:00+00' WHERE open_jobs < 0 OR failed_jobs < 0;
-- next
ALTER TABLE hammerwork_joins
    ADD CONSTRAINT hammerwork_joins_counts CHECK (open_jobs >= 0 AND failed_jobs >= 0);

-- [mysql]
UPDATE hammerwork_joins SET checked_at = '1970-01-01 00:00:00', open_jobs = GREATEST(open_jobs, 0),
failed_jobs = GREATEST(failed_jobs, 0) WHERE open_jobs < 0 OR failed_jobs < 0;
-- next
ALTER TABLE hammerwork_joins
    ADD CONSTRAINT hammerwork_joins_counts CHECK (open_jobs >= 0 AND failed_jobs >= 0);

-- [sqlite]
-- SQLite adds no constraint to a table.
UPDATE hammerwork_joins SET open_jobs = MAX(open_jobs, 0), failed_jobs = MAX(failed_jobs, 0),
checked_at = '1970-01-01T00:00:00+00:00' WHERE open_jobs < 0 OR failed_jobs < 0;
-- next
CREATE TRIGGER hammerwork_joins_counts BEFORE UPDATE ON hammerwork_joins WHEN NEW.open_jobs < 0 OR NEW.failed_jobs < 0
BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: hammerwork_joins_counts'); END;
