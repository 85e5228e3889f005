-- When a worker of ours claimed the job. A Rust worker that takes it overwrites started_at and leaves this, so that a
-- job is ours only while both are the same.
ALTER TABLE hammerwork_jobs
    ADD COLUMN claimed_at TEXT;
-- next
-- Counts heartbeats: their times may repeat when a clock is put back.
ALTER TABLE hammerwork_workers
    ADD COLUMN beats INTEGER NOT NULL DEFAULT 0;
