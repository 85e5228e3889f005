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
