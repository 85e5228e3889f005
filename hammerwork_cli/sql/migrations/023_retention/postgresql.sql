-- The archive keeps more of a job. hammerwork (Rust) leaves its retry_strategy empty, and cannot read those of hammerwork-cli.
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
