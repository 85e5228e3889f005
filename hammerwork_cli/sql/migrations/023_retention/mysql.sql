-- The archive keeps more of a job. hammerwork (Rust) leaves its retry_strategy empty, and cannot read those of hammerwork-cli.
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
