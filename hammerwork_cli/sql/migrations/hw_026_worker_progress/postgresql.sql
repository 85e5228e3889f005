-- What a worker reports with its heartbeats besides its counts: for how long the main loop and the thread that writes
-- outcomes have not gone round, and the slots whose handlers have not returned although their attempts have ended. And
-- the grace that goes with a request to stop.
ALTER TABLE hammerwork_workers
    ADD COLUMN main_stalled_seconds DOUBLE PRECISION,
    ADD COLUMN finisher_stalled_seconds DOUBLE PRECISION,
    ADD COLUMN held_slots INTEGER,
    ADD COLUMN request_grace_seconds DOUBLE PRECISION;
