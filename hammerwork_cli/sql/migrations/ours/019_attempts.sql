-- Attempts that did not complete
--
-- The attempts that did not complete: one row each. A claim writes its start into the job, so no attempt at a job has the
-- start of another.

-- [postgresql]
CREATE TABLE hammerwork_attempts (
    job_id UUID NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ NOT NULL,
    attempt INTEGER NOT NULL,
    outcome VARCHAR(20) NOT NULL,
    worker_id UUID,
    error_message TEXT,
    PRIMARY KEY (job_id, started_at)
);

-- [mysql]
CREATE TABLE hammerwork_attempts (
    job_id CHAR(36) NOT NULL,
    started_at TIMESTAMP(6) NOT NULL,
    ended_at TIMESTAMP(6) NOT NULL,
    attempt INTEGER NOT NULL,
    outcome VARCHAR(20) NOT NULL,
    worker_id CHAR(36) NULL,
    error_message TEXT,
    PRIMARY KEY (job_id, started_at)
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
CREATE TABLE hammerwork_attempts (
    job_id TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    worker_id TEXT,
    error_message TEXT,
    PRIMARY KEY (job_id, started_at)
) STRICT;
