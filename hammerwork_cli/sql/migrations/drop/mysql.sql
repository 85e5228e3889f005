-- The record goes first: a run that was broken off here must not be taken for complete.
DROP TABLE IF EXISTS hammerwork_migrations;
-- next
DROP TABLE IF EXISTS
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
