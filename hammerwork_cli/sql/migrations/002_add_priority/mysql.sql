ALTER TABLE hammerwork_jobs
    ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;
-- next
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_queue_status_priority_scheduled (queue_name, status, priority DESC, scheduled_at);
