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
