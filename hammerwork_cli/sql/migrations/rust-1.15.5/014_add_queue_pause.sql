-- Paused queues

-- [postgresql]
CREATE TABLE hammerwork_queue_pause (
    queue_name VARCHAR(255) PRIMARY KEY,
    paused_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    paused_by VARCHAR(255),
    reason TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
-- next
CREATE INDEX idx_hammerwork_queue_pause_paused_at ON hammerwork_queue_pause (paused_at);
-- next
CREATE OR REPLACE FUNCTION update_hammerwork_queue_pause_updated_at() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := NOW();
    RETURN NEW;
END
$$;
-- next
CREATE TRIGGER trigger_update_hammerwork_queue_pause_updated_at BEFORE UPDATE ON hammerwork_queue_pause
FOR EACH ROW EXECUTE FUNCTION update_hammerwork_queue_pause_updated_at();

-- [mysql]
CREATE TABLE hammerwork_queue_pause (
    queue_name VARCHAR(255) NOT NULL PRIMARY KEY,
    paused_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    paused_by VARCHAR(255) NULL,
    reason TEXT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    INDEX idx_hammerwork_queue_pause_paused_at (paused_at)
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
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
