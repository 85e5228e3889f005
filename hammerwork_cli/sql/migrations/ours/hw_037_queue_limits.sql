-- Limits of queues
--
-- Limits of queues: how many of their jobs run at once, and how many start within a period. Workers count at each claim.

-- [postgresql]
CREATE TABLE hammerwork_queue_limits (
    queue_name VARCHAR(255) NOT NULL PRIMARY KEY,
    concurrency INTEGER,
    rate INTEGER,
    period_ms BIGINT,
    per_key TEXT,
    changed_by VARCHAR(255) NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    claims BIGINT NOT NULL
);
-- next
-- When jobs of a queue with a rate started, for each value that its limit goes by, and the hash of that value.
CREATE TABLE hammerwork_limit_starts (
    queue_name VARCHAR(255) NOT NULL,
    key_hash CHAR(64) NOT NULL,
    limit_key TEXT NOT NULL,
    starts TEXT NOT NULL,
    full_until TIMESTAMPTZ,
    ends_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (queue_name, key_hash)
);

-- [mysql]
CREATE TABLE hammerwork_queue_limits (
    queue_name VARCHAR(255) NOT NULL PRIMARY KEY,
    concurrency INTEGER NULL,
    rate INTEGER NULL,
    period_ms BIGINT NULL,
    per_key VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    changed_by VARCHAR(255) NOT NULL,
    changed_at DATETIME(6) NOT NULL,
    claims BIGINT NOT NULL
) ENGINE = InnoDB COLLATE = {collation};
-- next
-- When jobs of a queue with a rate started, for each value that its limit goes by, and the hash of that value.
CREATE TABLE hammerwork_limit_starts (
    queue_name VARCHAR(255) NOT NULL,
    key_hash CHAR(64) NOT NULL,
    limit_key LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    starts TEXT NOT NULL,
    full_until DATETIME(6) NULL,
    ends_at DATETIME(6) NOT NULL,
    PRIMARY KEY (queue_name, key_hash)
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
CREATE TABLE hammerwork_queue_limits (
    queue_name TEXT NOT NULL PRIMARY KEY,
    concurrency INTEGER,
    rate INTEGER,
    period_ms INTEGER,
    per_key TEXT,
    changed_by TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    claims INTEGER NOT NULL
) STRICT;
-- next
-- When jobs of a queue with a rate started, for each value that its limit goes by, and the hash of that value.
CREATE TABLE hammerwork_limit_starts (
    queue_name TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    limit_key TEXT NOT NULL,
    starts TEXT NOT NULL,
    full_until TEXT,
    ends_at TEXT NOT NULL,
    PRIMARY KEY (queue_name, key_hash)
) STRICT;
