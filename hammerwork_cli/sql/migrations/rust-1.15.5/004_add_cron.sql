-- Recurring jobs

-- [postgresql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN cron_schedule VARCHAR(100),
    ADD COLUMN next_run_at TIMESTAMPTZ,
    ADD COLUMN recurring BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN timezone VARCHAR(50);
-- next
CREATE INDEX idx_hammerwork_jobs_recurring_next_run ON hammerwork_jobs (recurring, next_run_at)
WHERE recurring = TRUE;
-- next
CREATE INDEX idx_hammerwork_jobs_cron_schedule ON hammerwork_jobs (cron_schedule)
WHERE cron_schedule IS NOT NULL;

-- [mysql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN cron_schedule VARCHAR(100) NULL,
    ADD COLUMN next_run_at TIMESTAMP(6) NULL,
    ADD COLUMN recurring BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN timezone VARCHAR(50) NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_recurring_next_run (recurring, next_run_at),
    ADD INDEX idx_cron_schedule (cron_schedule);

-- [sqlite]
CREATE INDEX idx_hammerwork_jobs_recurring_next_run ON hammerwork_jobs (recurring, next_run_at)
WHERE recurring = 1;
-- next
CREATE INDEX idx_hammerwork_jobs_cron_schedule ON hammerwork_jobs (cron_schedule)
WHERE cron_schedule IS NOT NULL;
