-- Schedules whose runs are jobs of their own. A tick moves next_run_at under a guard, so that of several workers one
-- makes the job.
CREATE TABLE hammerwork_schedules (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    queue_name TEXT NOT NULL,
    payload TEXT NOT NULL,
    priority INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    timeout_seconds INTEGER,
    expression TEXT NOT NULL,
    timezone TEXT NOT NULL,
    starts_at TEXT,
    ends_at TEXT,
    overlap TEXT NOT NULL,
    catch_up TEXT NOT NULL,
    grace_seconds INTEGER NOT NULL,
    jitter_seconds INTEGER NOT NULL,
    enabled INTEGER NOT NULL,
    changed_by TEXT,
    reason TEXT,
    next_run_at TEXT,
    last_error TEXT,
    source TEXT NOT NULL,
    revision INTEGER NOT NULL,
    description TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
-- next
CREATE UNIQUE INDEX idx_hammerwork_schedules_name ON hammerwork_schedules (name);
-- next
CREATE INDEX idx_hammerwork_schedules_next_run ON hammerwork_schedules (enabled, next_run_at);
-- next
-- One row for each due time of a schedule, whether or not it led to a job.
CREATE TABLE hammerwork_schedule_runs (
    schedule_id TEXT NOT NULL,
    due_at TEXT NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT,
    job_id TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (schedule_id, due_at)
) STRICT;
-- next
CREATE INDEX idx_hammerwork_schedule_runs_job ON hammerwork_schedule_runs (job_id);
