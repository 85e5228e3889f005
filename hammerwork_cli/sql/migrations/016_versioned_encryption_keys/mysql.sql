ALTER TABLE hammerwork_encryption_keys
    ADD UNIQUE INDEX idx_hammerwork_encryption_keys_key_version (key_id, key_version);
-- next
DROP INDEX key_id ON hammerwork_encryption_keys;
-- next
-- DROP CHECK, which the original sends, is a syntax error on MariaDB.
ALTER TABLE hammerwork_key_audit_log
    DROP CONSTRAINT check_operation,
    ADD CONSTRAINT check_operation CHECK (
        operation IN ('Create', 'Access', 'Rotate', 'Retire', 'Revoke', 'Delete', 'Update')
    );
