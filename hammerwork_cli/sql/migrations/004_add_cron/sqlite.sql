CREATE INDEX idx_hammerwork_jobs_recurring_next_run ON hammerwork_jobs (recurring, next_run_at)
WHERE recurring = 1;
-- next
CREATE INDEX idx_hammerwork_jobs_cron_schedule ON hammerwork_jobs (cron_schedule)
WHERE cron_schedule IS NOT NULL;
