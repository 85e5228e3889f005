-- The attempts that did not complete: one row each. A claim writes its start into the job, so no attempt at a job has the
-- start of another.
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
