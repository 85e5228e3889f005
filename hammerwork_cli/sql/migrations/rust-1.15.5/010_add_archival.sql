-- The archive

-- [postgresql]
CREATE TABLE hammerwork_jobs_archive (
    id UUID PRIMARY KEY,
    queue_name VARCHAR NOT NULL,
    payload BYTEA NOT NULL,
    payload_compressed BOOLEAN NOT NULL DEFAULT TRUE,
    original_payload_size INTEGER,
    status VARCHAR NOT NULL,
    priority VARCHAR NOT NULL DEFAULT 'Normal',
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 3,
    created_at TIMESTAMPTZ NOT NULL,
    scheduled_at TIMESTAMPTZ NOT NULL,
    started_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,
    failed_at TIMESTAMPTZ,
    timed_out_at TIMESTAMPTZ,
    archived_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    error_message TEXT,
    result JSONB,
    result_ttl TIMESTAMPTZ,
    retry_strategy VARCHAR,
    timeout_seconds INTEGER,
    priority_weight INTEGER,
    cron_schedule VARCHAR,
    next_run_at TIMESTAMPTZ,
    recurring BOOLEAN NOT NULL DEFAULT FALSE,
    timezone VARCHAR,
    batch_id UUID,
    depends_on UUID[],
    dependency_status VARCHAR DEFAULT 'Pending',
    result_config JSONB,
    trace_id VARCHAR(128),
    correlation_id VARCHAR(128),
    parent_span_id VARCHAR(128),
    span_context TEXT,
    archival_reason VARCHAR NOT NULL DEFAULT 'Automatic',
    archived_by VARCHAR,
    original_table VARCHAR NOT NULL DEFAULT 'hammerwork_jobs'
);
-- next
CREATE INDEX idx_hammerwork_jobs_archive_queue_status ON hammerwork_jobs_archive (queue_name, status);
-- next
CREATE INDEX idx_hammerwork_jobs_archive_archived_at ON hammerwork_jobs_archive (archived_at);
-- next
CREATE INDEX idx_hammerwork_jobs_archive_created_at ON hammerwork_jobs_archive (created_at);
-- next
CREATE INDEX idx_hammerwork_jobs_archive_batch_id ON hammerwork_jobs_archive (batch_id)
WHERE batch_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_trace_id ON hammerwork_jobs_archive (trace_id)
WHERE trace_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_correlation_id ON hammerwork_jobs_archive (correlation_id)
WHERE correlation_id IS NOT NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN archived_at TIMESTAMPTZ,
    ADD COLUMN archival_reason VARCHAR,
    ADD COLUMN archival_policy_applied VARCHAR;
-- next
CREATE INDEX idx_hammerwork_jobs_archival_candidates
ON hammerwork_jobs (status, completed_at, failed_at, created_at)
WHERE archived_at IS NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archival_completed ON hammerwork_jobs (completed_at)
WHERE status = 'Completed' AND archived_at IS NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archival_failed ON hammerwork_jobs (failed_at)
WHERE status = 'Failed' AND archived_at IS NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archival_dead ON hammerwork_jobs (failed_at)
WHERE status = 'Dead' AND archived_at IS NULL;

-- [mysql]
CREATE TABLE hammerwork_jobs_archive (
    id CHAR(36) NOT NULL PRIMARY KEY,
    queue_name VARCHAR(255) NOT NULL,
    payload LONGBLOB NOT NULL,
    payload_compressed BOOLEAN NOT NULL DEFAULT TRUE,
    original_payload_size INTEGER NULL,
    status VARCHAR(50) NOT NULL,
    priority VARCHAR(20) NOT NULL DEFAULT 'Normal',
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 3,
    created_at TIMESTAMP NOT NULL,
    scheduled_at TIMESTAMP NOT NULL,
    started_at TIMESTAMP NULL,
    completed_at TIMESTAMP NULL,
    failed_at TIMESTAMP NULL,
    timed_out_at TIMESTAMP NULL,
    archived_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    error_message TEXT NULL,
    result JSON NULL,
    result_ttl TIMESTAMP NULL,
    retry_strategy VARCHAR(50) NULL,
    timeout_seconds INTEGER NULL,
    priority_weight INTEGER NULL,
    cron_schedule VARCHAR(255) NULL,
    next_run_at TIMESTAMP NULL,
    recurring BOOLEAN NOT NULL DEFAULT FALSE,
    timezone VARCHAR(50) NULL,
    batch_id CHAR(36) NULL,
    depends_on JSON NULL,
    dependency_status VARCHAR(20) DEFAULT 'Pending',
    result_config JSON NULL,
    trace_id VARCHAR(128) NULL,
    correlation_id VARCHAR(128) NULL,
    parent_span_id VARCHAR(128) NULL,
    span_context TEXT NULL,
    archival_reason VARCHAR(50) NOT NULL DEFAULT 'Automatic',
    archived_by VARCHAR(100) NULL,
    original_table VARCHAR(50) NOT NULL DEFAULT 'hammerwork_jobs',
    INDEX idx_hammerwork_jobs_archive_queue_status (queue_name, status),
    INDEX idx_hammerwork_jobs_archive_archived_at (archived_at),
    INDEX idx_hammerwork_jobs_archive_created_at (created_at),
    INDEX idx_hammerwork_jobs_archive_batch_id (batch_id),
    INDEX idx_hammerwork_jobs_archive_trace_id (trace_id),
    INDEX idx_hammerwork_jobs_archive_correlation_id (correlation_id)
) ENGINE = InnoDB COLLATE = {collation};
-- next
ALTER TABLE hammerwork_jobs
    ADD COLUMN archived_at TIMESTAMP NULL,
    ADD COLUMN archival_reason VARCHAR(50) NULL,
    ADD COLUMN archival_policy_applied VARCHAR(100) NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_hammerwork_jobs_archival_candidates (status, completed_at, failed_at, created_at),
    ADD INDEX idx_hammerwork_jobs_archival_completed (completed_at, status),
    ADD INDEX idx_hammerwork_jobs_archival_failed (failed_at, status),
    ADD INDEX idx_hammerwork_jobs_archival_dead (failed_at, status);

-- [sqlite]
CREATE TABLE hammerwork_jobs_archive (
    id TEXT NOT NULL PRIMARY KEY,
    queue_name TEXT NOT NULL,
    payload BLOB NOT NULL,
    payload_compressed INTEGER NOT NULL DEFAULT 1,
    original_payload_size INTEGER,
    status TEXT NOT NULL,
    priority TEXT NOT NULL DEFAULT 'Normal',
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 3,
    created_at TEXT NOT NULL,
    scheduled_at TEXT NOT NULL,
    started_at TEXT,
    completed_at TEXT,
    failed_at TEXT,
    timed_out_at TEXT,
    archived_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    error_message TEXT,
    result TEXT CHECK (json_valid(result)),
    result_ttl TEXT,
    retry_strategy TEXT,
    timeout_seconds INTEGER,
    priority_weight INTEGER,
    cron_schedule TEXT,
    next_run_at TEXT,
    recurring INTEGER NOT NULL DEFAULT 0,
    timezone TEXT,
    batch_id TEXT,
    depends_on TEXT CHECK (json_valid(depends_on)),
    dependency_status TEXT DEFAULT 'Pending',
    result_config TEXT CHECK (json_valid(result_config)),
    trace_id TEXT,
    correlation_id TEXT,
    parent_span_id TEXT,
    span_context TEXT,
    archival_reason TEXT NOT NULL DEFAULT 'Automatic',
    archived_by TEXT,
    original_table TEXT NOT NULL DEFAULT 'hammerwork_jobs',
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
    CONSTRAINT check_archive_encryption_consistency CHECK (
        is_encrypted = 0 AND encrypted_payload IS NULL AND encryption_nonce IS NULL AND encryption_tag IS NULL
        OR is_encrypted = 1 AND encrypted_payload IS NOT NULL AND encryption_nonce IS NOT NULL
        AND encryption_tag IS NOT NULL AND encryption_key_id IS NOT NULL
    ),
    CONSTRAINT check_archive_encryption_algorithm CHECK (
        encryption_algorithm IS NULL OR encryption_algorithm IN ('AES256GCM', 'ChaCha20Poly1305')
    ),
    CONSTRAINT check_archive_retention_policy CHECK (
        retention_policy IS NULL
        OR retention_policy IN ('DeleteAfter', 'DeleteAt', 'KeepIndefinitely', 'DeleteImmediately', 'UseDefault')
    )
) STRICT;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_queue_status ON hammerwork_jobs_archive (queue_name, status);
-- next
CREATE INDEX idx_hammerwork_jobs_archive_archived_at ON hammerwork_jobs_archive (archived_at);
-- next
CREATE INDEX idx_hammerwork_jobs_archive_created_at ON hammerwork_jobs_archive (created_at);
-- next
CREATE INDEX idx_hammerwork_jobs_archive_batch_id ON hammerwork_jobs_archive (batch_id)
WHERE batch_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_trace_id ON hammerwork_jobs_archive (trace_id)
WHERE trace_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_correlation_id ON hammerwork_jobs_archive (correlation_id)
WHERE correlation_id IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archival_candidates
ON hammerwork_jobs (status, completed_at, failed_at, created_at)
WHERE archived_at IS NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archival_completed ON hammerwork_jobs (completed_at)
WHERE status = 'Completed' AND archived_at IS NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archival_failed ON hammerwork_jobs (failed_at)
WHERE status = 'Failed' AND archived_at IS NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archival_dead ON hammerwork_jobs (failed_at)
WHERE status = 'Dead' AND archived_at IS NULL;
