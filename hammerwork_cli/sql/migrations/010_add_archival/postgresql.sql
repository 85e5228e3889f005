CREATE TABLE hammerwork_jobs_archive (
    id UUID PRIMARY KEY,
    queue_name VARCHAR NOT NULL,
    payload BYTEA NOT NULL,
    payload_compressed BOOLEAN NOT NULL DEFAULT TRUE,
    original_payload_size INTEGER,
    status VARCHAR NOT NULL,
    priority VARCHAR NOT NULL DEFAULT 'Normal',
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 3,
    created_at TIMESTAMPTZ NOT NULL,
    scheduled_at TIMESTAMPTZ NOT NULL,
    started_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,
    failed_at TIMESTAMPTZ,
    timed_out_at TIMESTAMPTZ,
    archived_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    error_message TEXT,
    result JSONB,
    result_ttl TIMESTAMPTZ,
    retry_strategy VARCHAR,
    timeout_seconds INTEGER,
    priority_weight INTEGER,
    cron_schedule VARCHAR,
    next_run_at TIMESTAMPTZ,
    recurring BOOLEAN NOT NULL DEFAULT FALSE,
    timezone VARCHAR,
    batch_id UUID,
    depends_on UUID[],
    dependency_status VARCHAR DEFAULT 'Pending',
    result_config JSONB,
    trace_id VARCHAR(128),
    correlation_id VARCHAR(128),
    parent_span_id VARCHAR(128),
    span_context TEXT,
    archival_reason VARCHAR NOT NULL DEFAULT 'Automatic',
    archived_by VARCHAR,
    original_table VARCHAR NOT NULL DEFAULT 'hammerwork_jobs'
);
-- next
CREATE INDEX idx_hammerwork_jobs_archive_queue_status ON hammerwork_jobs_archive (queue_name, status);
-- next
CREATE INDEX idx_hammerwork_jobs_archive_archived_at ON hammerwork_jobs_archive (archived_at);
-- next
CREATE INDEX idx_hammerwork_jobs_archive_created_at ON hammerwork_jobs_archive (created_at);
-- next
CREATE INDEX idx_hammerwork_jobs_archive_batch_id ON hammerwork_jobs_archive (batch_id)
WHERE batch_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_trace_id ON hammerwork_jobs_archive (trace_id)
WHERE trace_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_correlation_id ON hammerwork_jobs_archive (correlation_id)
WHERE correlation_id IS NOT NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN archived_at TIMESTAMPTZ,
    ADD COLUMN archival_reason VARCHAR,
    ADD COLUMN archival_policy_applied VARCHAR;
-- next
CREATE INDEX idx_hammerwork_jobs_archival_candidates
ON hammerwork_jobs (status, completed_at, failed_at, created_at)
WHERE archived_at IS NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archival_completed ON hammerwork_jobs (completed_at)
WHERE status = 'Completed' AND archived_at IS NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archival_failed ON hammerwork_jobs (failed_at)
WHERE status = 'Failed' AND archived_at IS NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archival_dead ON hammerwork_jobs (failed_at)
WHERE status = 'Dead' AND archived_at IS NULL;
