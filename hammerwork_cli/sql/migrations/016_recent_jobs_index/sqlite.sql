CREATE INDEX idx_hammerwork_jobs_created ON hammerwork_jobs (created_at, id);
