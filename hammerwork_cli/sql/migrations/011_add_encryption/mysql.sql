ALTER TABLE hammerwork_jobs
    ADD COLUMN is_encrypted BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN encryption_key_id VARCHAR(255) NULL,
    ADD COLUMN encryption_algorithm VARCHAR(50) NULL,
    ADD COLUMN encrypted_payload LONGBLOB NULL,
    ADD COLUMN encryption_nonce BLOB NULL,
    ADD COLUMN encryption_tag BLOB NULL,
    ADD COLUMN encryption_metadata JSON NULL,
    ADD COLUMN payload_hash VARCHAR(255) NULL,
    ADD COLUMN pii_fields JSON NULL,
    ADD COLUMN retention_policy VARCHAR(50) NULL,
    ADD COLUMN retention_delete_at TIMESTAMP(6) NULL,
    ADD COLUMN encrypted_at TIMESTAMP(6) NULL;
-- next
ALTER TABLE hammerwork_jobs
    ADD INDEX idx_hammerwork_jobs_encrypted (is_encrypted, encryption_key_id),
    ADD INDEX idx_hammerwork_jobs_retention_cleanup (retention_delete_at, is_encrypted),
    ADD INDEX idx_hammerwork_jobs_encrypted_at (encrypted_at);
-- next
ALTER TABLE hammerwork_jobs
    ADD CONSTRAINT check_encryption_consistency CHECK (
        is_encrypted = 0 AND encrypted_payload IS NULL AND encryption_nonce IS NULL AND encryption_tag IS NULL
        OR is_encrypted = 1 AND encrypted_payload IS NOT NULL AND encryption_nonce IS NOT NULL
        AND encryption_tag IS NOT NULL AND encryption_key_id IS NOT NULL
    ),
    ADD CONSTRAINT check_encryption_algorithm CHECK (
        encryption_algorithm IS NULL OR encryption_algorithm IN ('AES256GCM', 'ChaCha20Poly1305')
    ),
    ADD CONSTRAINT check_retention_policy CHECK (
        retention_policy IS NULL
        OR retention_policy IN ('DeleteAfter', 'DeleteAt', 'KeepIndefinitely', 'DeleteImmediately', 'UseDefault')
    );
-- next
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN is_encrypted BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN encryption_key_id VARCHAR(255) NULL,
    ADD COLUMN encryption_algorithm VARCHAR(50) NULL,
    ADD COLUMN encrypted_payload LONGBLOB NULL,
    ADD COLUMN encryption_nonce BLOB NULL,
    ADD COLUMN encryption_tag BLOB NULL,
    ADD COLUMN encryption_metadata JSON NULL,
    ADD COLUMN payload_hash VARCHAR(255) NULL,
    ADD COLUMN pii_fields JSON NULL,
    ADD COLUMN retention_policy VARCHAR(50) NULL,
    ADD COLUMN retention_delete_at TIMESTAMP(6) NULL,
    ADD COLUMN encrypted_at TIMESTAMP(6) NULL;
-- next
ALTER TABLE hammerwork_jobs_archive
    ADD INDEX idx_hammerwork_jobs_archive_encrypted (is_encrypted, encryption_key_id),
    ADD INDEX idx_hammerwork_jobs_archive_retention_cleanup (retention_delete_at, is_encrypted);
-- next
ALTER TABLE hammerwork_jobs_archive
    ADD CONSTRAINT check_archive_encryption_consistency CHECK (
        is_encrypted = 0 AND encrypted_payload IS NULL AND encryption_nonce IS NULL AND encryption_tag IS NULL
        OR is_encrypted = 1 AND encrypted_payload IS NOT NULL AND encryption_nonce IS NOT NULL
        AND encryption_tag IS NOT NULL AND encryption_key_id IS NOT NULL
    ),
    ADD CONSTRAINT check_archive_encryption_algorithm CHECK (
        encryption_algorithm IS NULL OR encryption_algorithm IN ('AES256GCM', 'ChaCha20Poly1305')
    ),
    ADD CONSTRAINT check_archive_retention_policy CHECK (
        retention_policy IS NULL
        OR retention_policy IN ('DeleteAfter', 'DeleteAt', 'KeepIndefinitely', 'DeleteImmediately', 'UseDefault')
    );
-- next
CREATE TABLE hammerwork_encryption_keys (
    id CHAR(36) NOT NULL PRIMARY KEY DEFAULT (UUID()),
    key_id VARCHAR(255) NOT NULL,
    key_version INTEGER NOT NULL DEFAULT 1,
    algorithm VARCHAR(50) NOT NULL,
    key_material BLOB NOT NULL,
    key_derivation_salt BLOB NULL,
    key_source VARCHAR(50) NOT NULL,
    key_purpose VARCHAR(50) NOT NULL DEFAULT 'Encryption',
    created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    created_by VARCHAR(255) NULL,
    expires_at TIMESTAMP(6) NULL,
    rotated_at TIMESTAMP(6) NULL,
    retired_at TIMESTAMP(6) NULL,
    status VARCHAR(50) NOT NULL DEFAULT 'Active',
    rotation_interval_seconds BIGINT NULL,
    next_rotation_at TIMESTAMP(6) NULL,
    key_strength INTEGER NOT NULL,
    master_key_id CHAR(36) NULL,
    last_used_at TIMESTAMP(6) NULL,
    usage_count BIGINT NOT NULL DEFAULT 0,
    UNIQUE INDEX key_id (key_id),
    INDEX idx_hammerwork_encryption_keys_key_id (key_id),
    INDEX idx_hammerwork_encryption_keys_status (status),
    INDEX idx_hammerwork_encryption_keys_rotation (next_rotation_at, status),
    INDEX idx_hammerwork_encryption_keys_expires (expires_at, status),
    INDEX idx_hammerwork_encryption_keys_algorithm (algorithm, status),
    CONSTRAINT check_algorithm CHECK (algorithm IN ('AES256GCM', 'ChaCha20Poly1305')),
    CONSTRAINT check_key_source CHECK (key_source IN ('Environment', 'External', 'Generated', 'Derived', 'Static')),
    CONSTRAINT check_key_purpose CHECK (key_purpose IN ('Encryption', 'MAC', 'KEK')),
    CONSTRAINT check_status CHECK (status IN ('Active', 'Retired', 'Revoked', 'Expired')),
    CONSTRAINT check_key_strength CHECK (key_strength >= 128 AND key_strength <= 512)
) ENGINE = InnoDB COLLATE = {collation};
