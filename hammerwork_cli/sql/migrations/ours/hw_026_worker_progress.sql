-- Stalled threads, held slots and grace periods of workers
--
-- What a worker reports with its heartbeats besides its counts: for how long the main loop and the thread that writes
-- outcomes have not gone round, and the slots whose handlers have not returned although their attempts have ended. And
-- the grace that goes with a request to stop.

-- [postgresql]
ALTER TABLE hammerwork_workers
    ADD COLUMN main_stalled_seconds DOUBLE PRECISION,
    ADD COLUMN finisher_stalled_seconds DOUBLE PRECISION,
    ADD COLUMN held_slots INTEGER,
    ADD COLUMN request_grace_seconds DOUBLE PRECISION;

-- [mysql]
ALTER TABLE hammerwork_workers
    ADD COLUMN main_stalled_seconds DOUBLE NULL,
    ADD COLUMN finisher_stalled_seconds DOUBLE NULL,
    ADD COLUMN held_slots INTEGER NULL,
    ADD COLUMN request_grace_seconds DOUBLE NULL;
-- next
-- The names of 10,000 queues exceed a TEXT.
ALTER TABLE hammerwork_workers MODIFY COLUMN queues MEDIUMTEXT NOT NULL;
-- next
ALTER TABLE hammerwork_workers MODIFY COLUMN handlers MEDIUMTEXT NOT NULL;

-- [sqlite]
ALTER TABLE hammerwork_workers
    ADD COLUMN main_stalled_seconds REAL;
-- next
ALTER TABLE hammerwork_workers
    ADD COLUMN finisher_stalled_seconds REAL;
-- next
ALTER TABLE hammerwork_workers
    ADD COLUMN held_slots INTEGER;
-- next
ALTER TABLE hammerwork_workers
    ADD COLUMN request_grace_seconds REAL;
