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
