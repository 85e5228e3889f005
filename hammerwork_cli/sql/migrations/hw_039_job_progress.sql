-- How far the jobs are that a worker runs, as JSON: it reports that with its heartbeats.

-- [postgresql sqlite]
ALTER TABLE hammerwork_workers
    ADD COLUMN job_progress TEXT;

-- [mysql]
ALTER TABLE hammerwork_workers
    ADD COLUMN job_progress MEDIUMTEXT NULL;
