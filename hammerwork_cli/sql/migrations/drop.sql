-- [postgresql]
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

-- [mysql]
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

-- [sqlite]
DROP TABLE IF EXISTS hammerwork_migrations;
-- next
DROP TABLE IF EXISTS hammerwork_jobs;
-- next
DROP TABLE IF EXISTS hammerwork_jobs_archive;
-- next
DROP TABLE IF EXISTS hammerwork_batches;
-- next
DROP TABLE IF EXISTS hammerwork_workflows;
-- next
DROP TABLE IF EXISTS hammerwork_encryption_keys;
-- next
DROP TABLE IF EXISTS hammerwork_key_audit_log;
-- next
DROP TABLE IF EXISTS hammerwork_queue_pause;
-- next
DROP TABLE IF EXISTS hammerwork_workers;
-- next
DROP TABLE IF EXISTS hammerwork_spawn_operations;
-- next
DROP TABLE IF EXISTS hammerwork_spawned_children;
-- next
DROP TABLE IF EXISTS hammerwork_spawn_requests;
-- next
DROP TABLE IF EXISTS hammerwork_spawn_roots;
-- next
DROP TABLE IF EXISTS hammerwork_spawn_trees;
-- next
DROP TABLE IF EXISTS hammerwork_attempts;
-- next
DROP TABLE IF EXISTS hammerwork_duties;
-- next
DROP TABLE IF EXISTS hammerwork_schedules;
-- next
DROP TABLE IF EXISTS hammerwork_schedule_runs;
-- next
DROP TABLE IF EXISTS hammerwork_retention;
-- next
DROP TABLE IF EXISTS hammerwork_watches;
