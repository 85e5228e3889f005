-- Columns that a worker of ours writes and the original never looks at; all may be NULL.
-- claim_token stays after the job has ended, so that a worker whose commit was not answered can see that it was its own.
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
