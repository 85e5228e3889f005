-- When the worker of a running job was last heard of, and until when nobody else may take the job. Version 3 of hammerwork
-- (Rust) goes by them.
ALTER TABLE hammerwork_jobs
    ADD COLUMN last_heartbeat_at TEXT;
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN lease_expires_at TEXT;
