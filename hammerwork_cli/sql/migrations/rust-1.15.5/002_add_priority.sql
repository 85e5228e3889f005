-- Priorities

-- [postgresql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;
-- next
-- The original's 001 makes it.
DROP INDEX idx_hammerwork_jobs_queue_status;
-- next
CREATE INDEX idx_hammerwork_jobs_queue_status_priority_scheduled
ON hammerwork_jobs (queue_name, status, priority DESC, scheduled_at)
WHERE status IN ('Pending', 'Retrying');

-- [mysql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;
-- next
-- The original's 001 makes it.
DROP INDEX idx_queue_status ON hammerwork_jobs;
-- next
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_queue_status_priority_scheduled (queue_name, status, priority DESC, scheduled_at);

-- [sqlite]
CREATE INDEX idx_hammerwork_jobs_queue_status_priority_scheduled
ON hammerwork_jobs (queue_name, status, priority DESC, scheduled_at)
WHERE status IN ('Pending', 'Retrying');
