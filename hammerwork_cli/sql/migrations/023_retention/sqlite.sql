-- The archive keeps more of a job. hammerwork (Rust) leaves its retry_strategy empty, and cannot read those of hammerwork-cli.
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
