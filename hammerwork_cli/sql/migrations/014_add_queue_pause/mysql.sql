CREATE TABLE hammerwork_queue_pause (
    queue_name VARCHAR(255) NOT NULL PRIMARY KEY,
    paused_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    paused_by VARCHAR(255) NULL,
    reason TEXT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    INDEX idx_hammerwork_queue_pause_paused_at (paused_at)
) ENGINE = InnoDB COLLATE = {collation};
