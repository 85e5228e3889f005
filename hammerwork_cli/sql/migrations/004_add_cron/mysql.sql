ALTER TABLE hammerwork_jobs
    ADD COLUMN cron_schedule VARCHAR(100) NULL,
    ADD COLUMN next_run_at TIMESTAMP(6) NULL,
    ADD COLUMN recurring BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN timezone VARCHAR(50) NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_recurring_next_run (recurring, next_run_at),
    ADD INDEX idx_cron_schedule (cron_schedule);
