CREATE TABLE hammerwork_queue_pause (
    queue_name TEXT NOT NULL PRIMARY KEY,
    paused_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    paused_by TEXT,
    reason TEXT,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
) STRICT;
-- next
CREATE INDEX idx_hammerwork_queue_pause_paused_at ON hammerwork_queue_pause (paused_at);
-- next
CREATE TRIGGER trigger_update_hammerwork_queue_pause_updated_at AFTER UPDATE ON hammerwork_queue_pause
FOR EACH ROW BEGIN
    UPDATE hammerwork_queue_pause SET updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
    WHERE queue_name = NEW.queue_name;
END;
