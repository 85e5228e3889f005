-- Retention policies, and more columns of the archive
--
-- The archive keeps more of a job. hammerwork (Rust) leaves its retry_strategy empty, and cannot read those of hammerwork-cli.

-- [postgresql]
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN workflow_id UUID,
    ADD COLUMN workflow_name VARCHAR,
    ADD COLUMN ancestry TEXT,
    ADD COLUMN claim_losses INTEGER,
    ADD COLUMN own_retry_strategy TEXT,
    ADD COLUMN result_stored_at TIMESTAMPTZ;
-- next
-- The queue * stands for all queues that have no policy. A column without an age keeps the jobs.
CREATE TABLE hammerwork_retention (
    queue_name VARCHAR(255) NOT NULL PRIMARY KEY,
    action VARCHAR(20) NOT NULL,
    completed_seconds BIGINT,
    failed_seconds BIGINT,
    dead_seconds BIGINT,
    timed_out_seconds BIGINT,
    archive_seconds BIGINT,
    by_tree BOOLEAN NOT NULL,
    compression_level INTEGER,
    enabled BOOLEAN NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    updated_by VARCHAR(255),
    last_run_at TIMESTAMPTZ,
    last_jobs BIGINT,
    last_error TEXT
);

-- [mysql]
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN workflow_id CHAR(36) COLLATE {collation} NULL,
    ADD COLUMN workflow_name VARCHAR(255) COLLATE {collation} NULL,
    ADD COLUMN ancestry TEXT NULL,
    ADD COLUMN claim_losses INTEGER NULL,
    ADD COLUMN own_retry_strategy TEXT NULL,
    ADD COLUMN result_stored_at TIMESTAMP(6) NULL;
-- next
-- The queue * stands for all queues that have no policy. A column without an age keeps the jobs.
CREATE TABLE hammerwork_retention (
    queue_name VARCHAR(255) NOT NULL PRIMARY KEY,
    action VARCHAR(20) NOT NULL,
    completed_seconds BIGINT NULL,
    failed_seconds BIGINT NULL,
    dead_seconds BIGINT NULL,
    timed_out_seconds BIGINT NULL,
    archive_seconds BIGINT NULL,
    by_tree BOOLEAN NOT NULL,
    compression_level INTEGER NULL,
    enabled BOOLEAN NOT NULL,
    updated_at TIMESTAMP(6) NOT NULL,
    updated_by VARCHAR(255) NULL,
    last_run_at TIMESTAMP(6) NULL,
    last_jobs BIGINT NULL,
    last_error TEXT
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN workflow_id TEXT;
-- next
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN workflow_name TEXT;
-- next
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN ancestry TEXT;
-- next
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN claim_losses INTEGER;
-- next
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN own_retry_strategy TEXT;
-- next
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN result_stored_at TEXT;
-- next
-- The queue * stands for all queues that have no policy. A column without an age keeps the jobs.
CREATE TABLE hammerwork_retention (
    queue_name TEXT NOT NULL PRIMARY KEY,
    action TEXT NOT NULL,
    completed_seconds INTEGER,
    failed_seconds INTEGER,
    dead_seconds INTEGER,
    timed_out_seconds INTEGER,
    archive_seconds INTEGER,
    by_tree INTEGER NOT NULL,
    compression_level INTEGER,
    enabled INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    updated_by TEXT,
    last_run_at TEXT,
    last_jobs INTEGER,
    last_error TEXT
) STRICT;
