-- Uses of encryption keys

-- [postgresql]
CREATE TABLE hammerwork_key_audit_log (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    key_id VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    success BOOLEAN NOT NULL,
    error_message TEXT,
    timestamp TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    user_id VARCHAR,
    client_ip INET,
    user_agent TEXT,
    session_id VARCHAR,
    CONSTRAINT valid_operation CHECK (operation IN ('Create', 'Access', 'Rotate', 'Retire', 'Revoke', 'Delete'))
);
-- next
CREATE INDEX idx_hammerwork_key_audit_log_key_id ON hammerwork_key_audit_log (key_id);
-- next
CREATE INDEX idx_hammerwork_key_audit_log_timestamp ON hammerwork_key_audit_log (timestamp);
-- next
CREATE INDEX idx_hammerwork_key_audit_log_operation ON hammerwork_key_audit_log (operation);
-- next
CREATE INDEX idx_hammerwork_key_audit_log_success ON hammerwork_key_audit_log (success);
-- next
CREATE INDEX idx_hammerwork_key_audit_log_key_time ON hammerwork_key_audit_log (key_id, timestamp);

-- [mysql]
CREATE TABLE hammerwork_key_audit_log (
    id CHAR(36) NOT NULL PRIMARY KEY DEFAULT (UUID()),
    key_id VARCHAR(255) NOT NULL,
    operation VARCHAR(50) NOT NULL,
    success BOOLEAN NOT NULL,
    error_message TEXT NULL,
    timestamp TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    user_id VARCHAR(255) NULL,
    client_ip VARCHAR(45) NULL,
    user_agent TEXT NULL,
    session_id VARCHAR(255) NULL,
    INDEX idx_hammerwork_key_audit_log_key_id (key_id),
    INDEX idx_hammerwork_key_audit_log_timestamp (timestamp),
    INDEX idx_hammerwork_key_audit_log_operation (operation),
    INDEX idx_hammerwork_key_audit_log_success (success),
    INDEX idx_hammerwork_key_audit_log_key_time (key_id, timestamp),
    CONSTRAINT check_operation CHECK (operation IN ('Create', 'Access', 'Rotate', 'Retire', 'Revoke', 'Delete'))
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
CREATE TABLE hammerwork_key_audit_log (
    id TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    success INTEGER NOT NULL,
    error_message TEXT,
    timestamp TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    user_id TEXT,
    client_ip TEXT,
    user_agent TEXT,
    session_id TEXT,
    CONSTRAINT check_operation CHECK (operation IN ('Create', 'Access', 'Rotate', 'Retire', 'Revoke', 'Delete'))
) STRICT;
-- next
CREATE INDEX idx_hammerwork_key_audit_log_key_time ON hammerwork_key_audit_log (key_id, timestamp);
-- next
CREATE INDEX idx_hammerwork_key_audit_log_timestamp ON hammerwork_key_audit_log (timestamp);
-- next
CREATE INDEX idx_hammerwork_key_audit_log_operation ON hammerwork_key_audit_log (operation);
-- next
CREATE INDEX idx_hammerwork_key_audit_log_success ON hammerwork_key_audit_log (success);
