-- Batches

-- [postgresql]
CREATE TABLE hammerwork_batches (
    id UUID PRIMARY KEY,
    batch_name VARCHAR NOT NULL,
    total_jobs INTEGER NOT NULL,
    completed_jobs INTEGER NOT NULL DEFAULT 0,
    failed_jobs INTEGER NOT NULL DEFAULT 0,
    pending_jobs INTEGER NOT NULL DEFAULT 0,
    status VARCHAR NOT NULL,
    failure_mode VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    completed_at TIMESTAMPTZ,
    error_summary TEXT,
    metadata JSONB
);
-- next
CREATE INDEX idx_hammerwork_batches_status ON hammerwork_batches (status);
-- next
CREATE INDEX idx_hammerwork_batches_created_at ON hammerwork_batches (created_at);
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN batch_id UUID;
-- next
CREATE INDEX idx_hammerwork_jobs_batch_id ON hammerwork_jobs (batch_id)
WHERE batch_id IS NOT NULL;

-- [mysql]
CREATE TABLE hammerwork_batches (
    id CHAR(36) NOT NULL PRIMARY KEY,
    batch_name VARCHAR(255) NOT NULL,
    total_jobs INTEGER NOT NULL,
    completed_jobs INTEGER NOT NULL DEFAULT 0,
    failed_jobs INTEGER NOT NULL DEFAULT 0,
    pending_jobs INTEGER NOT NULL DEFAULT 0,
    status VARCHAR(50) NOT NULL,
    failure_mode VARCHAR(50) NOT NULL,
    created_at TIMESTAMP(6) NOT NULL,
    completed_at TIMESTAMP(6) NULL,
    error_summary TEXT NULL,
    metadata JSON NULL,
    INDEX idx_status (status),
    INDEX idx_created_at (created_at)
) ENGINE = InnoDB COLLATE = {collation};
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN batch_id CHAR(36) NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_batch_id (batch_id);

-- [sqlite]
CREATE TABLE hammerwork_batches (
    id TEXT NOT NULL PRIMARY KEY,
    batch_name TEXT NOT NULL,
    total_jobs INTEGER NOT NULL,
    completed_jobs INTEGER NOT NULL DEFAULT 0,
    failed_jobs INTEGER NOT NULL DEFAULT 0,
    pending_jobs INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL,
    failure_mode TEXT NOT NULL,
    created_at TEXT NOT NULL,
    completed_at TEXT,
    error_summary TEXT,
    metadata TEXT CHECK (json_valid(metadata))
) STRICT;
-- next
CREATE INDEX idx_hammerwork_batches_status ON hammerwork_batches (status);
-- next
CREATE INDEX idx_hammerwork_batches_created_at ON hammerwork_batches (created_at);
-- next
CREATE INDEX idx_hammerwork_jobs_batch_id ON hammerwork_jobs (batch_id)
WHERE batch_id IS NOT NULL;
