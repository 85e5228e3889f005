-- Unique jobs

-- [postgresql]
-- Which job holds a unique key. The id is made of the queue and the key, so that two jobs cannot hold one.
CREATE TABLE hammerwork_unique (
    id UUID PRIMARY KEY,
    queue_name VARCHAR(255) NOT NULL,
    unique_key VARCHAR(255) NOT NULL,
    job_id UUID NOT NULL
);
-- next
CREATE INDEX idx_hammerwork_unique_job ON hammerwork_unique (job_id);

-- [mysql]
-- Which job holds a unique key. The id is made of the queue and the key, so that two jobs cannot hold one.
CREATE TABLE hammerwork_unique (
    id CHAR(36) NOT NULL PRIMARY KEY,
    queue_name VARCHAR(255) NOT NULL,
    unique_key VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    job_id CHAR(36) NOT NULL,
    INDEX idx_hammerwork_unique_job (job_id)
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
-- Which job holds a unique key. The id is made of the queue and the key, so that two jobs cannot hold one.
CREATE TABLE hammerwork_unique (
    id TEXT NOT NULL PRIMARY KEY,
    queue_name TEXT NOT NULL,
    unique_key TEXT NOT NULL,
    job_id TEXT NOT NULL
) STRICT;
-- next
CREATE INDEX idx_hammerwork_unique_job ON hammerwork_unique (job_id);
