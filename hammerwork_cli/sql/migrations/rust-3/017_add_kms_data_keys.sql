-- Version 3: keys that a KMS has wrapped

-- [postgresql]
CREATE TABLE hammerwork_kms_data_keys (
    id UUID PRIMARY KEY,
    key_name VARCHAR(191) NOT NULL,
    kms_provider VARCHAR(16) NOT NULL,
    kms_key_id VARCHAR(512) NOT NULL,
    key_version INTEGER NOT NULL,
    key_size INTEGER NOT NULL,
    wrapped_key BYTEA NOT NULL,
    status VARCHAR(20) NOT NULL DEFAULT 'Active',
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    retired_at TIMESTAMPTZ,
    CONSTRAINT uq_hammerwork_kms_data_keys_version UNIQUE (key_name, kms_provider, kms_key_id, key_version),
    CONSTRAINT valid_kms_provider CHECK (kms_provider IN ('aws', 'gcp')),
    CONSTRAINT valid_kms_data_key_status CHECK (status IN ('Active', 'Retired'))
);

-- [mysql]
CREATE TABLE hammerwork_kms_data_keys (
    id CHAR(36) NOT NULL PRIMARY KEY,
    key_name VARCHAR(191) NOT NULL,
    kms_provider VARCHAR(16) NOT NULL,
    kms_key_id VARCHAR(512) NOT NULL,
    key_version INTEGER NOT NULL,
    key_size INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    status VARCHAR(20) NOT NULL DEFAULT 'Active',
    created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    retired_at TIMESTAMP(6) NULL,
    UNIQUE INDEX idx_hammerwork_kms_data_keys_version (key_name, kms_provider, kms_key_id, key_version),
    CONSTRAINT check_kms_provider CHECK (kms_provider IN ('aws', 'gcp')),
    CONSTRAINT check_kms_data_key_status CHECK (status IN ('Active', 'Retired'))
) ENGINE = InnoDB COLLATE = {collation};
