DROP TABLE IF EXISTS
    hammerwork_migrations,
    hammerwork_jobs,
    hammerwork_jobs_archive,
    hammerwork_batches,
    hammerwork_workflows,
    hammerwork_encryption_keys,
    hammerwork_key_audit_log,
    hammerwork_kms_data_keys,
    hammerwork_queue_pause,
    hammerwork_workers,
    hammerwork_spawn_operations,
    hammerwork_spawned_children,
    hammerwork_spawn_requests,
    hammerwork_spawn_roots,
    hammerwork_spawn_trees,
    hammerwork_attempts,
    hammerwork_duties,
    hammerwork_schedules,
    hammerwork_schedule_runs,
    hammerwork_retention,
    hammerwork_watches;
-- next
DROP FUNCTION IF EXISTS update_hammerwork_queue_pause_updated_at();
