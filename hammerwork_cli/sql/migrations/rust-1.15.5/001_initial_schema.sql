-- The table of jobs

-- [postgresql]
CREATE TABLE hammerwork_jobs (
    id UUID PRIMARY KEY,
    queue_name VARCHAR NOT NULL,
    payload JSONB NOT NULL,
    status VARCHAR NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 3,
    created_at TIMESTAMPTZ NOT NULL,
    scheduled_at TIMESTAMPTZ NOT NULL,
    started_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,
    failed_at TIMESTAMPTZ,
    error_message TEXT
);
-- next
CREATE INDEX idx_hammerwork_jobs_scheduled ON hammerwork_jobs (scheduled_at)
WHERE status = 'Pending';
-- next
CREATE INDEX idx_hammerwork_jobs_status_failed_at ON hammerwork_jobs (status, failed_at)
WHERE failed_at IS NOT NULL;

-- [mysql]
CREATE TABLE hammerwork_jobs (
    id CHAR(36) NOT NULL PRIMARY KEY,
    queue_name VARCHAR(255) NOT NULL,
    payload JSON NOT NULL,
    status VARCHAR(50) NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 3,
    created_at TIMESTAMP(6) NOT NULL,
    scheduled_at TIMESTAMP(6) NOT NULL,
    started_at TIMESTAMP(6) NULL,
    completed_at TIMESTAMP(6) NULL,
    failed_at TIMESTAMP(6) NULL,
    error_message TEXT NULL,
    INDEX idx_scheduled (scheduled_at),
    INDEX idx_status_failed_at (status, failed_at)
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
-- SQLite is ours alone and cannot add checks later, so the table is whole from the start.
CREATE TABLE hammerwork_jobs (
    id TEXT NOT NULL PRIMARY KEY,
    queue_name TEXT NOT NULL,
    payload TEXT NOT NULL CHECK (json_valid(payload)),
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 3,
    created_at TEXT NOT NULL,
    scheduled_at TEXT NOT NULL,
    started_at TEXT,
    completed_at TEXT,
    failed_at TEXT,
    error_message TEXT,
    priority INTEGER NOT NULL DEFAULT 2,
    timeout_seconds INTEGER,
    timed_out_at TEXT,
    cron_schedule TEXT,
    next_run_at TEXT,
    recurring INTEGER NOT NULL DEFAULT 0,
    timezone TEXT,
    batch_id TEXT,
    result_data TEXT CHECK (json_valid(result_data)),
    result_stored_at TEXT,
    result_expires_at TEXT,
    depends_on TEXT DEFAULT '[]' CHECK (json_valid(depends_on)),
    dependents TEXT DEFAULT '[]' CHECK (json_valid(dependents)),
    dependency_status TEXT DEFAULT 'none',
    workflow_id TEXT,
    workflow_name TEXT,
    result_storage_type TEXT DEFAULT 'none',
    result_ttl_seconds INTEGER,
    result_max_size_bytes INTEGER,
    trace_id TEXT,
    correlation_id TEXT,
    parent_span_id TEXT,
    span_context TEXT,
    archived_at TEXT,
    archival_reason TEXT,
    archival_policy_applied TEXT,
    is_encrypted INTEGER NOT NULL DEFAULT 0,
    encryption_key_id TEXT,
    encryption_algorithm TEXT,
    encrypted_payload BLOB,
    encryption_nonce BLOB,
    encryption_tag BLOB,
    encryption_metadata TEXT CHECK (json_valid(encryption_metadata)),
    payload_hash TEXT,
    pii_fields TEXT CHECK (json_valid(pii_fields)),
    retention_policy TEXT,
    retention_delete_at TEXT,
    encrypted_at TEXT,
    CONSTRAINT chk_dependency_status CHECK (dependency_status IN ('none', 'waiting', 'satisfied', 'failed')),
    CONSTRAINT check_encryption_consistency CHECK (
        is_encrypted = 0 AND encrypted_payload IS NULL AND encryption_nonce IS NULL AND encryption_tag IS NULL
        OR is_encrypted = 1 AND encrypted_payload IS NOT NULL AND encryption_nonce IS NOT NULL
        AND encryption_tag IS NOT NULL AND encryption_key_id IS NOT NULL
    ),
    CONSTRAINT check_encryption_algorithm CHECK (
        encryption_algorithm IS NULL OR encryption_algorithm IN ('AES256GCM', 'ChaCha20Poly1305')
    ),
    CONSTRAINT check_retention_policy CHECK (
        retention_policy IS NULL
        OR retention_policy IN ('DeleteAfter', 'DeleteAt', 'KeepIndefinitely', 'DeleteImmediately', 'UseDefault')
    )
) STRICT;
-- next
CREATE INDEX idx_hammerwork_jobs_scheduled ON hammerwork_jobs (scheduled_at)
WHERE status = 'Pending';
-- next
CREATE INDEX idx_hammerwork_jobs_status_failed_at ON hammerwork_jobs (status, failed_at)
WHERE failed_at IS NOT NULL;
