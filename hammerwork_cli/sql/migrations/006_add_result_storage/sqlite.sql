CREATE INDEX idx_hammerwork_jobs_result_expires_at ON hammerwork_jobs (result_expires_at)
WHERE result_expires_at IS NOT NULL;
