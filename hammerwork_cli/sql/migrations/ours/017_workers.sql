-- Workers, their claims and their spawns
--
-- Columns that a worker of ours writes and the original never looks at; all may be NULL.
-- claim_token stays after the job has ended, so that a worker whose commit was not answered can see that it was its own.

-- [postgresql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN claim_token UUID,
    ADD COLUMN claimed_by UUID,
    ADD COLUMN claim_losses INTEGER,
    ADD COLUMN releases INTEGER,
    ADD COLUMN retry_strategy TEXT;
-- next
CREATE TABLE hammerwork_workers (
    id UUID PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    pid INTEGER NOT NULL,
    version VARCHAR(50) NOT NULL,
    queues TEXT NOT NULL,
    handlers TEXT NOT NULL,
    concurrency INTEGER NOT NULL,
    lease_seconds DOUBLE PRECISION NOT NULL,
    state VARCHAR(20) NOT NULL,
    request VARCHAR(20),
    requested_by VARCHAR(255),
    started_at TIMESTAMPTZ NOT NULL,
    heartbeat_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    running INTEGER NOT NULL DEFAULT 0,
    completed BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    memory_bytes BIGINT
);
-- next
CREATE TABLE hammerwork_spawn_operations (
    id UUID PRIMARY KEY,
    parent_id UUID NOT NULL,
    root_id UUID NOT NULL,
    depth INTEGER NOT NULL,
    occurrence VARCHAR(40) NOT NULL,
    operation_id VARCHAR(255),
    handler VARCHAR(255),
    config TEXT,
    outcome VARCHAR(20) NOT NULL,
    children INTEGER NOT NULL,
    error_message TEXT,
    hook_error TEXT,
    worker_id UUID,
    request_id UUID,
    started_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ NOT NULL
);
-- next
CREATE INDEX idx_hammerwork_spawn_operations_parent ON hammerwork_spawn_operations (parent_id);
-- next
CREATE INDEX idx_hammerwork_spawn_operations_ended ON hammerwork_spawn_operations (ended_at);
-- next
CREATE TABLE hammerwork_spawned_children (
    parent_id UUID NOT NULL,
    occurrence VARCHAR(40) NOT NULL,
    spawn_key VARCHAR(255) NOT NULL,
    child_id UUID NOT NULL,
    spawned_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (parent_id, occurrence, spawn_key)
);
-- next
CREATE TABLE hammerwork_spawn_requests (
    id UUID PRIMARY KEY,
    job_id UUID NOT NULL,
    queue_name VARCHAR(255) NOT NULL,
    handler VARCHAR(255),
    config TEXT,
    state VARCHAR(20) NOT NULL,
    requested_at TIMESTAMPTZ NOT NULL,
    requested_by VARCHAR(255),
    claim_token UUID,
    claimed_by UUID,
    ended_at TIMESTAMPTZ,
    children INTEGER,
    error_message TEXT
);
-- next
CREATE INDEX idx_hammerwork_spawn_requests_state ON hammerwork_spawn_requests (state, requested_at);
-- next
CREATE INDEX idx_hammerwork_spawn_requests_job ON hammerwork_spawn_requests (job_id);
-- next
CREATE TABLE hammerwork_spawn_roots (
    root_id UUID PRIMARY KEY,
    descendants BIGINT NOT NULL
);
-- next
-- What a claim looks for, in its order: jobs that wait for others are not in the way, however many they are.
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_claimable;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_claimable ON hammerwork_jobs (queue_name, priority DESC, scheduled_at)
WHERE status = 'Pending' AND (dependency_status IS NULL OR dependency_status IN ('none', 'satisfied'));
-- next
DROP INDEX CONCURRENTLY IF EXISTS idx_hammerwork_jobs_claimed;
-- next
CREATE INDEX CONCURRENTLY idx_hammerwork_jobs_claimed ON hammerwork_jobs (claimed_by)
WHERE status = 'Running';

-- [mysql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN claim_token CHAR(36) COLLATE {collation} NULL,
    ADD COLUMN claimed_by CHAR(36) COLLATE {collation} NULL,
    ADD COLUMN claim_losses INTEGER NULL,
    ADD COLUMN releases INTEGER NULL,
    ADD COLUMN retry_strategy TEXT NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN claimable TINYINT GENERATED ALWAYS AS (CASE
        WHEN status = 'Pending' AND (dependency_status IS NULL OR dependency_status IN ('none', 'satisfied')) THEN 1
    END) VIRTUAL;
-- next
-- What a claim looks for, in its order: jobs that wait for others are not in the way, however many they are.
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_hammerwork_jobs_claimable (queue_name, claimable, priority DESC, scheduled_at);
-- next
CREATE TABLE hammerwork_workers (
    id CHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    pid INTEGER NOT NULL,
    version VARCHAR(50) NOT NULL,
    queues TEXT NOT NULL,
    handlers TEXT NOT NULL,
    concurrency INTEGER NOT NULL,
    lease_seconds DOUBLE NOT NULL,
    state VARCHAR(20) NOT NULL,
    request VARCHAR(20),
    requested_by VARCHAR(255),
    started_at TIMESTAMP(6) NOT NULL,
    heartbeat_at TIMESTAMP(6) NOT NULL,
    ended_at TIMESTAMP(6) NULL,
    running INTEGER NOT NULL DEFAULT 0,
    completed BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    memory_bytes BIGINT
) ENGINE = InnoDB COLLATE = {collation};
-- next
CREATE TABLE hammerwork_spawn_operations (
    id CHAR(36) NOT NULL PRIMARY KEY,
    parent_id CHAR(36) NOT NULL,
    root_id CHAR(36) NOT NULL,
    depth INTEGER NOT NULL,
    occurrence VARCHAR(40) NOT NULL,
    operation_id VARCHAR(255),
    handler VARCHAR(255),
    config TEXT,
    outcome VARCHAR(20) NOT NULL,
    children INTEGER NOT NULL,
    error_message TEXT,
    hook_error TEXT,
    worker_id CHAR(36) NULL,
    request_id CHAR(36) NULL,
    started_at TIMESTAMP(6) NOT NULL,
    ended_at TIMESTAMP(6) NOT NULL,
    INDEX idx_hammerwork_spawn_operations_parent (parent_id),
    INDEX idx_hammerwork_spawn_operations_ended (ended_at)
) ENGINE = InnoDB COLLATE = {collation};
-- next
CREATE TABLE hammerwork_spawned_children (
    parent_id CHAR(36) NOT NULL,
    occurrence VARCHAR(40) NOT NULL,
    spawn_key VARCHAR(255) NOT NULL,
    child_id CHAR(36) NOT NULL,
    spawned_at TIMESTAMP(6) NOT NULL,
    PRIMARY KEY (parent_id, occurrence, spawn_key)
) ENGINE = InnoDB COLLATE = {collation};
-- next
CREATE TABLE hammerwork_spawn_requests (
    id CHAR(36) NOT NULL PRIMARY KEY,
    job_id CHAR(36) NOT NULL,
    queue_name VARCHAR(255) NOT NULL,
    handler VARCHAR(255),
    config TEXT,
    state VARCHAR(20) NOT NULL,
    requested_at TIMESTAMP(6) NOT NULL,
    requested_by VARCHAR(255),
    claim_token CHAR(36) NULL,
    claimed_by CHAR(36) NULL,
    ended_at TIMESTAMP(6) NULL,
    children INTEGER,
    error_message TEXT,
    INDEX idx_hammerwork_spawn_requests_state (state, requested_at),
    INDEX idx_hammerwork_spawn_requests_job (job_id)
) ENGINE = InnoDB COLLATE = {collation};
-- next
CREATE TABLE hammerwork_spawn_roots (
    root_id CHAR(36) NOT NULL PRIMARY KEY,
    descendants BIGINT NOT NULL
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
ALTER TABLE hammerwork_jobs
    ADD COLUMN claim_token TEXT;
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN claimed_by TEXT;
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN claim_losses INTEGER;
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN releases INTEGER;
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN retry_strategy TEXT;
-- next
CREATE TABLE hammerwork_workers (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    queues TEXT NOT NULL,
    handlers TEXT NOT NULL,
    concurrency INTEGER NOT NULL,
    lease_seconds REAL NOT NULL,
    state TEXT NOT NULL,
    request TEXT,
    requested_by TEXT,
    started_at TEXT NOT NULL,
    heartbeat_at TEXT NOT NULL,
    ended_at TEXT,
    running INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    memory_bytes INTEGER
) STRICT;
-- next
CREATE TABLE hammerwork_spawn_operations (
    id TEXT NOT NULL PRIMARY KEY,
    parent_id TEXT NOT NULL,
    root_id TEXT NOT NULL,
    depth INTEGER NOT NULL,
    occurrence TEXT NOT NULL,
    operation_id TEXT,
    handler TEXT,
    config TEXT,
    outcome TEXT NOT NULL,
    children INTEGER NOT NULL,
    error_message TEXT,
    hook_error TEXT,
    worker_id TEXT,
    request_id TEXT,
    started_at TEXT NOT NULL,
    ended_at TEXT NOT NULL
) STRICT;
-- next
CREATE INDEX idx_hammerwork_spawn_operations_parent ON hammerwork_spawn_operations (parent_id);
-- next
CREATE INDEX idx_hammerwork_spawn_operations_ended ON hammerwork_spawn_operations (ended_at);
-- next
CREATE TABLE hammerwork_spawned_children (
    parent_id TEXT NOT NULL,
    occurrence TEXT NOT NULL,
    spawn_key TEXT NOT NULL,
    child_id TEXT NOT NULL,
    spawned_at TEXT NOT NULL,
    PRIMARY KEY (parent_id, occurrence, spawn_key)
) STRICT;
-- next
CREATE TABLE hammerwork_spawn_requests (
    id TEXT NOT NULL PRIMARY KEY,
    job_id TEXT NOT NULL,
    queue_name TEXT NOT NULL,
    handler TEXT,
    config TEXT,
    state TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    requested_by TEXT,
    claim_token TEXT,
    claimed_by TEXT,
    ended_at TEXT,
    children INTEGER,
    error_message TEXT
) STRICT;
-- next
CREATE INDEX idx_hammerwork_spawn_requests_state ON hammerwork_spawn_requests (state, requested_at);
-- next
CREATE INDEX idx_hammerwork_spawn_requests_job ON hammerwork_spawn_requests (job_id);
-- next
CREATE TABLE hammerwork_spawn_roots (
    root_id TEXT NOT NULL PRIMARY KEY,
    descendants INTEGER NOT NULL
) STRICT;
-- next
-- What a claim looks for, in its order: jobs that wait for others are not in the way, however many they are.
CREATE INDEX idx_hammerwork_jobs_claimable ON hammerwork_jobs (queue_name, priority DESC, scheduled_at)
WHERE status = 'Pending' AND (dependency_status IS NULL OR dependency_status IN ('none', 'satisfied'));
-- next
CREATE INDEX idx_hammerwork_jobs_claimed ON hammerwork_jobs (claimed_by)
WHERE status = 'Running';
