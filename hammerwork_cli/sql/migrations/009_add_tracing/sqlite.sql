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
