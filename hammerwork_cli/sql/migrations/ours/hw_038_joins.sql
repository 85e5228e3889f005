-- Jobs that wait for the children of their parent
--
-- Joins: jobs that wait until the children of their parent, or all jobs below it, have ended, with the jobs that they count.

-- [postgresql]
CREATE TABLE hammerwork_joins (
    job_id UUID PRIMARY KEY,
    parent_id UUID NOT NULL,
    scope VARCHAR(20) NOT NULL,
    on_failure VARCHAR(20) NOT NULL,
    parent_ended BOOLEAN NOT NULL,
    open_jobs BIGINT NOT NULL,
    failed_jobs BIGINT NOT NULL,
    checked_at TIMESTAMPTZ NOT NULL
);
-- next
CREATE INDEX idx_hammerwork_joins_checked ON hammerwork_joins (checked_at);

-- [mysql]
CREATE TABLE hammerwork_joins (
    job_id CHAR(36) NOT NULL PRIMARY KEY,
    parent_id CHAR(36) NOT NULL,
    scope VARCHAR(20) NOT NULL,
    on_failure VARCHAR(20) NOT NULL,
    parent_ended BOOLEAN NOT NULL,
    open_jobs BIGINT NOT NULL,
    failed_jobs BIGINT NOT NULL,
    checked_at DATETIME(6) NOT NULL,
    INDEX idx_hammerwork_joins_checked (checked_at)
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
CREATE TABLE hammerwork_joins (
    job_id TEXT NOT NULL PRIMARY KEY,
    parent_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    on_failure TEXT NOT NULL,
    parent_ended INTEGER NOT NULL,
    open_jobs INTEGER NOT NULL,
    failed_jobs INTEGER NOT NULL,
    checked_at TEXT NOT NULL
) STRICT;
-- next
CREATE INDEX idx_hammerwork_joins_checked ON hammerwork_joins (checked_at);
