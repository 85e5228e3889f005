-- Runs of schedules that stand for many missed ones
--
-- A run may stand for earlier due times that no worker was there for: how many, and the first of them. Whether all jobs
-- below the job of a run have ended, once a worker has seen it.

-- [postgresql]
ALTER TABLE hammerwork_schedule_runs
    ADD COLUMN missed BIGINT,
    ADD COLUMN missed_from TIMESTAMPTZ,
    ADD COLUMN tree_ended BOOLEAN;

-- [mysql]
ALTER TABLE hammerwork_schedule_runs
    ADD COLUMN missed BIGINT NULL,
    ADD COLUMN missed_from DATETIME(6) NULL,
    ADD COLUMN tree_ended BOOLEAN NULL;

-- [sqlite]
ALTER TABLE hammerwork_schedule_runs
    ADD COLUMN missed INTEGER;
-- next
ALTER TABLE hammerwork_schedule_runs
    ADD COLUMN missed_from TEXT;
-- next
ALTER TABLE hammerwork_schedule_runs
    ADD COLUMN tree_ended INTEGER;
