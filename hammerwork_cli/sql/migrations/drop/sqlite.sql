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
