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
