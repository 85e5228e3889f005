-- The attempts that did not complete: one row each. A claim writes its start into the job, so no attempt at a job has the
-- start of another.
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
