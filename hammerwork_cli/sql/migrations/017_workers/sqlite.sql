-- Columns that a worker of ours writes and the original never looks at; all may be NULL.
-- claim_token stays after the job has ended, so that a worker whose commit was not answered can see that it was its own.
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
