-- Leases of running jobs, for hammerwork 3 (Rust)

-- [postgresql]
-- When the worker of a running job was last heard of, and until when nobody else may take the job. Version 3 of hammerwork
-- (Rust) goes by them, and adds the same columns (015_add_job_leases) unless they are there.
ALTER TABLE hammerwork_jobs
    ADD COLUMN last_heartbeat_at TIMESTAMPTZ,
    ADD COLUMN lease_expires_at TIMESTAMPTZ;

-- [mysql]
-- When the worker of a running job was last heard of, and until when nobody else may take the job. Version 3 of hammerwork
-- (Rust) goes by them, and adds the same columns (015_add_job_leases) unless they are there.
ALTER TABLE hammerwork_jobs
    ADD COLUMN last_heartbeat_at TIMESTAMP(6) NULL,
    ADD COLUMN lease_expires_at TIMESTAMP(6) NULL;

-- [sqlite]
-- When the worker of a running job was last heard of, and until when nobody else may take the job. Version 3 of hammerwork
-- (Rust) goes by them.
ALTER TABLE hammerwork_jobs
    ADD COLUMN last_heartbeat_at TEXT;
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN lease_expires_at TEXT;
