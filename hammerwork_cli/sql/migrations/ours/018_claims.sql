-- Times of claims, exact keys, and places of jobs in their trees

-- [postgresql]
-- When a worker of ours claimed the job. A Rust worker that takes it overwrites started_at and leaves this, so that a
-- job is ours only while both are the same.
-- Where it stands in its tree, and what limits that (JSON), if a worker of ours spawned it.
ALTER TABLE hammerwork_jobs
    ADD COLUMN claimed_at TIMESTAMPTZ,
    ADD COLUMN ancestry TEXT;
-- next
-- Counts heartbeats: their times may repeat when a clock is put back.
ALTER TABLE hammerwork_workers
    ADD COLUMN beats BIGINT NOT NULL DEFAULT 0;
-- next
ALTER TABLE hammerwork_spawned_children
    ADD COLUMN root_id UUID;
-- next
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_spawned_children_root;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_spawned_children_root ON hammerwork_spawned_children (root_id);
-- next
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_spawn_operations_root;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_spawn_operations_root ON hammerwork_spawn_operations (root_id);
-- next
-- How many descendants a root has whose tree is limited, in each of its runs where it recurs. In the place of
-- hammerwork_spawn_roots, which knows one number for all of them.
CREATE TABLE hammerwork_spawn_trees (
    root_id UUID NOT NULL,
    occurrence VARCHAR(40) NOT NULL,
    descendants BIGINT NOT NULL,
    PRIMARY KEY (root_id, occurrence)
);

-- [mysql]
-- When a worker of ours claimed the job. A Rust worker that takes it overwrites started_at and leaves this, so that a
-- job is ours only while both are the same.
-- Where it stands in its tree, and what limits that (JSON), if a worker of ours spawned it.
ALTER TABLE hammerwork_jobs
    ADD COLUMN claimed_at TIMESTAMP(6) NULL,
    ADD COLUMN ancestry TEXT NULL;
-- next
-- Counts heartbeats: their times may repeat when a clock is put back.
ALTER TABLE hammerwork_workers
    ADD COLUMN beats BIGINT NOT NULL DEFAULT 0;
-- next
-- Bytes: the collation of the tables takes different keys for one.
ALTER TABLE hammerwork_spawned_children
    MODIFY COLUMN spawn_key VARBINARY(1020) NOT NULL;
-- next
ALTER TABLE hammerwork_spawned_children
    ADD COLUMN root_id CHAR(36) NULL,
    ADD INDEX idx_hammerwork_spawned_children_root (root_id);
-- next
ALTER TABLE hammerwork_spawn_operations
    ADD INDEX idx_hammerwork_spawn_operations_root (root_id);
-- next
-- The configuration of a job with more metadata than TEXT holds, and what a request changes of it.
ALTER TABLE hammerwork_spawn_requests
    MODIFY COLUMN config LONGTEXT NULL;
-- next
-- How many descendants a root has whose tree is limited, in each of its runs where it recurs. In the place of
-- hammerwork_spawn_roots, which knows one number for all of them.
CREATE TABLE hammerwork_spawn_trees (
    root_id CHAR(36) NOT NULL,
    occurrence VARCHAR(40) NOT NULL,
    descendants BIGINT NOT NULL,
    PRIMARY KEY (root_id, occurrence)
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
-- When a worker of ours claimed the job. A Rust worker that takes it overwrites started_at and leaves this, so that a
-- job is ours only while both are the same.
ALTER TABLE hammerwork_jobs
    ADD COLUMN claimed_at TEXT;
-- next
-- Where it stands in its tree, and what limits that (JSON), if a worker of ours spawned it.
ALTER TABLE hammerwork_jobs
    ADD COLUMN ancestry TEXT;
-- next
-- Counts heartbeats: their times may repeat when a clock is put back.
ALTER TABLE hammerwork_workers
    ADD COLUMN beats INTEGER NOT NULL DEFAULT 0;
-- next
ALTER TABLE hammerwork_spawned_children
    ADD COLUMN root_id TEXT;
-- next
CREATE INDEX idx_hammerwork_spawned_children_root ON hammerwork_spawned_children (root_id);
-- next
CREATE INDEX idx_hammerwork_spawn_operations_root ON hammerwork_spawn_operations (root_id);
-- next
-- How many descendants a root has whose tree is limited, in each of its runs where it recurs. In the place of
-- hammerwork_spawn_roots, which knows one number for all of them.
CREATE TABLE hammerwork_spawn_trees (
    root_id TEXT NOT NULL,
    occurrence TEXT NOT NULL,
    descendants INTEGER NOT NULL,
    PRIMARY KEY (root_id, occurrence)
) STRICT;
