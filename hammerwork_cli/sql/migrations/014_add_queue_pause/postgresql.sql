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
