-- Schedules and their runs

-- [postgresql]
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

-- [mysql]
-- Names are bytes: the collation of the tables takes different names for one. DATETIME knows times after 2038.
-- Schedules whose runs are jobs of their own. A tick moves next_run_at under a guard, so that of several workers one
-- makes the job.
CREATE TABLE hammerwork_schedules (
    id CHAR(36) NOT NULL PRIMARY KEY,
    name VARBINARY(1020) NOT NULL,
    queue_name VARCHAR(255) NOT NULL,
    payload LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    priority INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    timeout_seconds INTEGER,
    expression VARCHAR(255) NOT NULL,
    timezone VARCHAR(64) NOT NULL,
    starts_at DATETIME(6),
    ends_at DATETIME(6),
    overlap VARCHAR(20) NOT NULL,
    catch_up VARCHAR(20) NOT NULL,
    grace_seconds INTEGER NOT NULL,
    jitter_seconds INTEGER NOT NULL,
    enabled BOOLEAN NOT NULL,
    changed_by VARCHAR(255),
    reason TEXT,
    next_run_at DATETIME(6),
    last_error TEXT,
    source VARCHAR(255) NOT NULL,
    revision BIGINT NOT NULL,
    description TEXT,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    UNIQUE INDEX idx_hammerwork_schedules_name (name),
    INDEX idx_hammerwork_schedules_next_run (enabled, next_run_at)
) ENGINE = InnoDB COLLATE = {collation};
-- next
-- One row for each due time of a schedule, whether or not it led to a job.
CREATE TABLE hammerwork_schedule_runs (
    schedule_id CHAR(36) NOT NULL,
    due_at DATETIME(6) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    outcome VARCHAR(20) NOT NULL,
    reason TEXT,
    job_id CHAR(36),
    created_at DATETIME(6) NOT NULL,
    PRIMARY KEY (schedule_id, due_at),
    INDEX idx_hammerwork_schedule_runs_job (job_id)
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
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
