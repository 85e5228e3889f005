-- Traces and correlation

-- [postgresql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN trace_id VARCHAR(128),
    ADD COLUMN correlation_id VARCHAR(128),
    ADD COLUMN parent_span_id VARCHAR(128),
    ADD COLUMN span_context TEXT;
-- next
CREATE INDEX idx_hammerwork_jobs_trace_id ON hammerwork_jobs (trace_id)
WHERE trace_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_correlation_id ON hammerwork_jobs (correlation_id)
WHERE correlation_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_trace_correlation ON hammerwork_jobs (trace_id, correlation_id)
WHERE trace_id IS NOT NULL OR correlation_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_parent_span_id ON hammerwork_jobs (parent_span_id)
WHERE parent_span_id IS NOT NULL;

-- [mysql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN trace_id VARCHAR(128) NULL,
    ADD COLUMN correlation_id VARCHAR(128) NULL,
    ADD COLUMN parent_span_id VARCHAR(128) NULL,
    ADD COLUMN span_context TEXT NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_hammerwork_jobs_trace_id (trace_id),
    ADD INDEX idx_hammerwork_jobs_correlation_id (correlation_id),
    ADD INDEX idx_hammerwork_jobs_trace_correlation (trace_id, correlation_id),
    ADD INDEX idx_hammerwork_jobs_parent_span_id (parent_span_id);

-- [sqlite]
CREATE INDEX idx_hammerwork_jobs_trace_id ON hammerwork_jobs (trace_id)
WHERE trace_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_correlation_id ON hammerwork_jobs (correlation_id)
WHERE correlation_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_trace_correlation ON hammerwork_jobs (trace_id, correlation_id)
WHERE trace_id IS NOT NULL OR correlation_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_parent_span_id ON hammerwork_jobs (parent_span_id)
WHERE parent_span_id IS NOT NULL;
