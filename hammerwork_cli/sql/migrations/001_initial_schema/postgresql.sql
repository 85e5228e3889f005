CREATE TABLE hammerwork_jobs (
    id UUID PRIMARY KEY,
    queue_name VARCHAR NOT NULL,
    payload JSONB NOT NULL,
    status VARCHAR NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 3,
    created_at TIMESTAMPTZ NOT NULL,
    scheduled_at TIMESTAMPTZ NOT NULL,
    started_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,
    failed_at TIMESTAMPTZ,
    error_message TEXT
);
-- next
CREATE INDEX idx_hammerwork_jobs_scheduled ON hammerwork_jobs (scheduled_at)
WHERE status = 'Pending';
-- next
CREATE INDEX idx_hammerwork_jobs_status_failed_at ON hammerwork_jobs (status, failed_at)
WHERE failed_at IS NOT NULL;
