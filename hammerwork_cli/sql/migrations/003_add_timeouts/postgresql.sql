ALTER TABLE hammerwork_jobs
    ADD COLUMN timeout_seconds INTEGER,
    ADD COLUMN timed_out_at TIMESTAMPTZ;
