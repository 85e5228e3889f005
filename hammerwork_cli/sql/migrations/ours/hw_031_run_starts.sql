-- When handlers began to run
--
-- When the handler of a job began to run in its last attempt, which its worker writes at the end: started_at is the time
-- of the claim, which may be long before, and the claim is known by it. The archive keeps it.

-- [postgresql]
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN run_started_at TIMESTAMPTZ;
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN run_started_at TIMESTAMPTZ;

-- [mysql]
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN run_started_at DATETIME(6) NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN run_started_at DATETIME(6) NULL;

-- [sqlite]
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN run_started_at TEXT;
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN run_started_at TEXT;
