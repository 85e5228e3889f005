CREATE UNIQUE INDEX idx_hammerwork_encryption_keys_key_version ON hammerwork_encryption_keys (key_id, key_version);
-- next
ALTER TABLE hammerwork_encryption_keys
    DROP CONSTRAINT IF EXISTS hammerwork_encryption_keys_key_id_key;
-- next
ALTER TABLE hammerwork_key_audit_log
    DROP CONSTRAINT IF EXISTS valid_operation,
    ADD CONSTRAINT valid_operation CHECK (
        operation IN ('Create', 'Access', 'Rotate', 'Retire', 'Revoke', 'Delete', 'Update')
    );
