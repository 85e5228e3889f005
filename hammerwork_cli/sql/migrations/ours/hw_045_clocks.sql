-- Clocks of workers' hosts
--
-- How far the clock of a worker's host is ahead of that of the database, which the worker reports with its heartbeats.

-- [postgresql]
ALTER TABLE hammerwork_workers
    ADD COLUMN clock_ahead_seconds DOUBLE PRECISION;

-- [mysql]
ALTER TABLE hammerwork_workers
    ADD COLUMN clock_ahead_seconds DOUBLE NULL;

-- [sqlite]
ALTER TABLE hammerwork_workers
    ADD COLUMN clock_ahead_seconds REAL;
