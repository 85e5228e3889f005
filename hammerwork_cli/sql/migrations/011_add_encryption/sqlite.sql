CREATE INDEX idx_hammerwork_jobs_encrypted ON hammerwork_jobs (is_encrypted, encryption_key_id)
WHERE is_encrypted = 1;
-- next
CREATE INDEX idx_hammerwork_jobs_retention_cleanup ON hammerwork_jobs (retention_delete_at)
WHERE retention_delete_at IS NOT NULL AND is_encrypted = 1;
-- next
CREATE INDEX idx_hammerwork_jobs_encrypted_at ON hammerwork_jobs (encrypted_at)
WHERE encrypted_at IS NOT NULL;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_encrypted ON hammerwork_jobs_archive (is_encrypted, encryption_key_id)
WHERE is_encrypted = 1;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_retention_cleanup ON hammerwork_jobs_archive (retention_delete_at)
WHERE retention_delete_at IS NOT NULL AND is_encrypted = 1;
-- next
CREATE TABLE hammerwork_encryption_keys (
    id TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL UNIQUE,
    key_version INTEGER NOT NULL DEFAULT 1,
    algorithm TEXT NOT NULL,
    key_material BLOB NOT NULL,
    key_derivation_salt BLOB,
    key_source TEXT NOT NULL,
    key_purpose TEXT NOT NULL DEFAULT 'Encryption',
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    created_by TEXT,
    expires_at TEXT,
    rotated_at TEXT,
    retired_at TEXT,
    status TEXT NOT NULL DEFAULT 'Active',
    rotation_interval_seconds INTEGER,
    next_rotation_at TEXT,
    key_strength INTEGER NOT NULL,
    master_key_id TEXT,
    last_used_at TEXT,
    usage_count INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT check_algorithm CHECK (algorithm IN ('AES256GCM', 'ChaCha20Poly1305')),
    CONSTRAINT check_key_source CHECK (key_source IN ('Environment', 'External', 'Generated', 'Derived', 'Static')),
    CONSTRAINT check_key_purpose CHECK (key_purpose IN ('Encryption', 'MAC', 'KEK')),
    CONSTRAINT check_status CHECK (status IN ('Active', 'Retired', 'Revoked', 'Expired')),
    CONSTRAINT check_key_strength CHECK (key_strength >= 128 AND key_strength <= 512)
) STRICT;
-- next
CREATE INDEX idx_hammerwork_encryption_keys_status ON hammerwork_encryption_keys (status)
WHERE status = 'Active';
-- next
CREATE INDEX idx_hammerwork_encryption_keys_rotation ON hammerwork_encryption_keys (next_rotation_at)
WHERE next_rotation_at IS NOT NULL AND status = 'Active';
-- next
CREATE INDEX idx_hammerwork_encryption_keys_expires ON hammerwork_encryption_keys (expires_at)
WHERE expires_at IS NOT NULL AND status = 'Active';
-- next
CREATE INDEX idx_hammerwork_encryption_keys_algorithm ON hammerwork_encryption_keys (algorithm, status);
