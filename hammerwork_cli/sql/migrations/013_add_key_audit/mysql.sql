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
