DROP TABLE IF EXISTS
    hammerwork_migrations,
    hammerwork_jobs,
    hammerwork_jobs_archive,
    hammerwork_batches,
    hammerwork_workflows,
    hammerwork_encryption_keys,
    hammerwork_key_audit_log,
    hammerwork_queue_pause;
-- next
DROP FUNCTION IF EXISTS update_hammerwork_queue_pause_updated_at();
