CREATE TABLE hammerwork_batches (
    id UUID PRIMARY KEY,
    batch_name VARCHAR NOT NULL,
    total_jobs INTEGER NOT NULL,
    completed_jobs INTEGER NOT NULL DEFAULT 0,
    failed_jobs INTEGER NOT NULL DEFAULT 0,
    pending_jobs INTEGER NOT NULL DEFAULT 0,
    status VARCHAR NOT NULL,
    failure_mode VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    completed_at TIMESTAMPTZ,
    error_summary TEXT,
    metadata JSONB
);
-- next
CREATE INDEX idx_hammerwork_batches_status ON hammerwork_batches (status);
-- next
CREATE INDEX idx_hammerwork_batches_created_at ON hammerwork_batches (created_at);
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN batch_id UUID;
-- next
CREATE INDEX idx_hammerwork_jobs_batch_id ON hammerwork_jobs (batch_id)
WHERE batch_id IS NOT NULL;
