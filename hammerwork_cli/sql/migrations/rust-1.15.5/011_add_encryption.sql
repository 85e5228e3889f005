-- Encrypted payloads, retention and keys

-- [postgresql]
ALTER TABLE hammerwork_jobs
    ADD COLUMN is_encrypted BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN encryption_key_id VARCHAR,
    ADD COLUMN encryption_algorithm VARCHAR,
    ADD COLUMN encrypted_payload BYTEA,
    ADD COLUMN encryption_nonce BYTEA,
    ADD COLUMN encryption_tag BYTEA,
    ADD COLUMN encryption_metadata JSONB,
    ADD COLUMN payload_hash VARCHAR,
    ADD COLUMN pii_fields TEXT[],
    ADD COLUMN retention_policy VARCHAR,
    ADD COLUMN retention_delete_at TIMESTAMPTZ,
    ADD COLUMN encrypted_at TIMESTAMPTZ;
-- next
ALTER TABLE hammerwork_jobs
    ADD CONSTRAINT check_encryption_consistency CHECK (
        is_encrypted = FALSE AND encrypted_payload IS NULL AND encryption_nonce IS NULL AND encryption_tag IS NULL
        OR is_encrypted = TRUE AND encrypted_payload IS NOT NULL AND encryption_nonce IS NOT NULL
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
CREATE INDEX idx_hammerwork_jobs_encrypted ON hammerwork_jobs (is_encrypted, encryption_key_id)
WHERE is_encrypted = TRUE;
-- next
CREATE INDEX idx_hammerwork_jobs_retention_cleanup ON hammerwork_jobs (retention_delete_at)
WHERE retention_delete_at IS NOT NULL AND is_encrypted = TRUE;
-- next
CREATE INDEX idx_hammerwork_jobs_pii ON hammerwork_jobs USING GIN (pii_fields)
WHERE pii_fields IS NOT NULL AND array_length(pii_fields, 1) > 0;
-- next
CREATE INDEX idx_hammerwork_jobs_encrypted_at ON hammerwork_jobs (encrypted_at)
WHERE encrypted_at IS NOT NULL;
-- next
ALTER TABLE hammerwork_jobs_archive
    ADD COLUMN is_encrypted BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN encryption_key_id VARCHAR,
    ADD COLUMN encryption_algorithm VARCHAR,
    ADD COLUMN encrypted_payload BYTEA,
    ADD COLUMN encryption_nonce BYTEA,
    ADD COLUMN encryption_tag BYTEA,
    ADD COLUMN encryption_metadata JSONB,
    ADD COLUMN payload_hash VARCHAR,
    ADD COLUMN pii_fields TEXT[],
    ADD COLUMN retention_policy VARCHAR,
    ADD COLUMN retention_delete_at TIMESTAMPTZ,
    ADD COLUMN encrypted_at TIMESTAMPTZ;
-- next
ALTER TABLE hammerwork_jobs_archive
    ADD CONSTRAINT check_archive_encryption_consistency CHECK (
        is_encrypted = FALSE AND encrypted_payload IS NULL AND encryption_nonce IS NULL AND encryption_tag IS NULL
        OR is_encrypted = TRUE AND encrypted_payload IS NOT NULL AND encryption_nonce IS NOT NULL
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
CREATE INDEX idx_hammerwork_jobs_archive_encrypted ON hammerwork_jobs_archive (is_encrypted, encryption_key_id)
WHERE is_encrypted = TRUE;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_retention_cleanup ON hammerwork_jobs_archive (retention_delete_at)
WHERE retention_delete_at IS NOT NULL AND is_encrypted = TRUE;
-- next
CREATE INDEX idx_hammerwork_jobs_archive_pii ON hammerwork_jobs_archive USING GIN (pii_fields)
WHERE pii_fields IS NOT NULL AND array_length(pii_fields, 1) > 0;
-- next
CREATE TABLE hammerwork_encryption_keys (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    key_id VARCHAR NOT NULL UNIQUE,
    key_version INTEGER NOT NULL DEFAULT 1,
    algorithm VARCHAR NOT NULL,
    key_material BYTEA NOT NULL,
    key_derivation_salt BYTEA,
    key_source VARCHAR NOT NULL,
    key_purpose VARCHAR NOT NULL DEFAULT 'Encryption',
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    created_by VARCHAR,
    expires_at TIMESTAMPTZ,
    rotated_at TIMESTAMPTZ,
    retired_at TIMESTAMPTZ,
    status VARCHAR NOT NULL DEFAULT 'Active',
    rotation_interval INTERVAL,
    next_rotation_at TIMESTAMPTZ,
    key_strength INTEGER NOT NULL,
    master_key_id UUID,
    last_used_at TIMESTAMPTZ,
    usage_count BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT valid_algorithm CHECK (algorithm IN ('AES256GCM', 'ChaCha20Poly1305')),
    CONSTRAINT valid_key_source CHECK (key_source IN ('Environment', 'External', 'Generated', 'Derived', 'Static')),
    CONSTRAINT valid_key_purpose CHECK (key_purpose IN ('Encryption', 'MAC', 'KEK')),
    CONSTRAINT valid_status CHECK (status IN ('Active', 'Retired', 'Revoked', 'Expired')),
    CONSTRAINT valid_key_strength CHECK (key_strength >= 128 AND key_strength <= 512)
);
-- next
CREATE INDEX idx_hammerwork_encryption_keys_key_id ON hammerwork_encryption_keys (key_id);
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

-- [mysql]
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

-- [sqlite]
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
