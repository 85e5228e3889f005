-- Progress of running jobs
--
-- How far the jobs are that a worker runs, as JSON: it reports that with its heartbeats. Handlers on an executor leave it in
-- a table for their worker.

-- [postgresql]
ALTER TABLE hammerwork_workers
    ADD COLUMN job_progress TEXT;
-- next
CREATE TABLE hammerwork_progress (
    job_id UUID PRIMARY KEY,
    worker_id UUID NOT NULL,
    report TEXT NOT NULL,
    reported_at TIMESTAMPTZ NOT NULL
);
-- next
CREATE INDEX idx_hammerwork_progress_worker ON hammerwork_progress (worker_id);

-- [mysql]
ALTER TABLE hammerwork_workers
    ADD COLUMN job_progress MEDIUMTEXT NULL;
-- next
CREATE TABLE hammerwork_progress (
    job_id CHAR(36) NOT NULL PRIMARY KEY,
    worker_id CHAR(36) NOT NULL,
    report TEXT NOT NULL,
    reported_at DATETIME(6) NOT NULL,
    INDEX idx_hammerwork_progress_worker (worker_id)
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
ALTER TABLE hammerwork_workers
    ADD COLUMN job_progress TEXT;
-- next
CREATE TABLE hammerwork_progress (
    job_id TEXT NOT NULL PRIMARY KEY,
    worker_id TEXT NOT NULL,
    report TEXT NOT NULL,
    reported_at TEXT NOT NULL
) STRICT;
-- next
CREATE INDEX idx_hammerwork_progress_worker ON hammerwork_progress (worker_id);
