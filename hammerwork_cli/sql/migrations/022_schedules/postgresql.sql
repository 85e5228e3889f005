-- Schedules whose runs are jobs of their own. A tick moves next_run_at under a guard, so that of several workers one
-- makes the job.
CREATE TABLE hammerwork_schedules (
    id UUID PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    queue_name VARCHAR(255) NOT NULL,
    payload TEXT NOT NULL,
    priority INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    timeout_seconds INTEGER,
    expression VARCHAR(255) NOT NULL,
    timezone VARCHAR(64) NOT NULL,
    starts_at TIMESTAMPTZ,
    ends_at TIMESTAMPTZ,
    overlap VARCHAR(20) NOT NULL,
    catch_up VARCHAR(20) NOT NULL,
    grace_seconds INTEGER NOT NULL,
    jitter_seconds INTEGER NOT NULL,
    enabled BOOLEAN NOT NULL,
    changed_by VARCHAR(255),
    reason TEXT,
    next_run_at TIMESTAMPTZ,
    last_error TEXT,
    source VARCHAR(255) NOT NULL,
    revision BIGINT NOT NULL,
    description TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
-- next
CREATE UNIQUE INDEX idx_hammerwork_schedules_name ON hammerwork_schedules (name);
-- next
CREATE INDEX idx_hammerwork_schedules_next_run ON hammerwork_schedules (enabled, next_run_at);
-- next
-- One row for each due time of a schedule, whether or not it led to a job.
CREATE TABLE hammerwork_schedule_runs (
    schedule_id UUID NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    kind VARCHAR(20) NOT NULL,
    outcome VARCHAR(20) NOT NULL,
    reason TEXT,
    job_id UUID,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (schedule_id, due_at)
);
-- next
CREATE INDEX idx_hammerwork_schedule_runs_job ON hammerwork_schedule_runs (job_id);
