CREATE TABLE hammerwork_jobs (
    id CHAR(36) NOT NULL PRIMARY KEY,
    queue_name VARCHAR(255) NOT NULL,
    payload JSON NOT NULL,
    status VARCHAR(50) NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 3,
    created_at TIMESTAMP(6) NOT NULL,
    scheduled_at TIMESTAMP(6) NOT NULL,
    started_at TIMESTAMP(6) NULL,
    completed_at TIMESTAMP(6) NULL,
    failed_at TIMESTAMP(6) NULL,
    error_message TEXT NULL,
    INDEX idx_scheduled (scheduled_at),
    INDEX idx_status_failed_at (status, failed_at)
) ENGINE = InnoDB COLLATE = {collation};
