-- Version 3: several versions of a key

-- [postgresql]
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

-- [mysql]
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
