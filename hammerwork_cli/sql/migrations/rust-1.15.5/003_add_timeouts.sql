-- Timeouts

-- [postgresql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN timeout_seconds INTEGER,
    ADD COLUMN timed_out_at TIMESTAMPTZ;

-- [mysql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN timeout_seconds INTEGER NULL,
    ADD COLUMN timed_out_at TIMESTAMP(6) NULL;

-- [sqlite]
-- The columns are there since 001.
