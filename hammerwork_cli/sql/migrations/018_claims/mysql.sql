-- When a worker of ours claimed the job. A Rust worker that takes it overwrites started_at and leaves this, so that a
-- job is ours only while both are the same.
ALTER TABLE hammerwork_jobs
    ADD COLUMN claimed_at TIMESTAMP(6) NULL;
-- next
-- Counts heartbeats: their times may repeat when a clock is put back.
ALTER TABLE hammerwork_workers
    ADD COLUMN beats BIGINT NOT NULL DEFAULT 0;
-- next
-- Bytes: the collation of the tables takes different keys for one.
ALTER TABLE hammerwork_spawned_children
    MODIFY COLUMN spawn_key VARBINARY(1020) NOT NULL;
