-- Events of many jobs in one row
--
-- Rows with the events of many jobs: a worker that completes a hundred jobs writes one. A backlog is counted by an index alone,
-- because SQLite reads all of a row for a column behind its body.

-- [postgresql]
ALTER TABLE hammerwork_stream_events
    ADD COLUMN events INTEGER NOT NULL DEFAULT 1;
-- next
CREATE INDEX idx_hammerwork_stream_events_waiting ON hammerwork_stream_events (stream_id, id, events) WHERE sent_at IS NULL;

-- [mysql]
ALTER TABLE hammerwork_stream_events
    ADD COLUMN events INTEGER NOT NULL DEFAULT 1,
    ADD INDEX idx_hammerwork_stream_events_waiting (stream_id, sent_at, id, events);

-- [sqlite]
ALTER TABLE hammerwork_stream_events
    ADD COLUMN events INTEGER NOT NULL DEFAULT 1;
-- next
CREATE INDEX idx_hammerwork_stream_events_waiting ON hammerwork_stream_events (stream_id, id, events) WHERE sent_at IS NULL;
