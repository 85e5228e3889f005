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
