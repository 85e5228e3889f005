-- Webhooks and streams of events
--
-- Who wants to know of events: receivers of webhooks, and streams, whose events wait in a table of their own until they
-- are sent. Deliveries to webhooks are jobs.

-- [postgresql]
CREATE TABLE hammerwork_webhooks (
    id UUID PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    url TEXT NOT NULL,
    method VARCHAR(10) NOT NULL,
    events TEXT NOT NULL,
    queues TEXT NOT NULL,
    priorities TEXT NOT NULL,
    headers TEXT NOT NULL,
    auth TEXT NOT NULL,
    secret TEXT,
    old_secret TEXT,
    old_until TIMESTAMPTZ,
    body VARCHAR(20) NOT NULL,
    template TEXT,
    include_payload BOOLEAN NOT NULL,
    allow_private BOOLEAN NOT NULL,
    insecure BOOLEAN NOT NULL,
    timeout_seconds INTEGER NOT NULL,
    max_retries INTEGER NOT NULL,
    enabled BOOLEAN NOT NULL,
    disabled_reason TEXT,
    enabled_at TIMESTAMPTZ NOT NULL,
    delivered BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    failing_since TIMESTAMPTZ,
    last_success_at TIMESTAMPTZ,
    last_failure_at TIMESTAMPTZ,
    last_answer TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    updated_by VARCHAR(255) NOT NULL
);
-- next
CREATE UNIQUE INDEX idx_hammerwork_webhooks_name ON hammerwork_webhooks (name);
-- next
CREATE TABLE hammerwork_streams (
    id UUID PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    backend VARCHAR(20) NOT NULL,
    target TEXT NOT NULL,
    events TEXT NOT NULL,
    queues TEXT NOT NULL,
    priorities TEXT NOT NULL,
    partitioning VARCHAR(20) NOT NULL,
    format VARCHAR(20) NOT NULL,
    include_payload BOOLEAN NOT NULL,
    buffer_size INTEGER NOT NULL,
    buffer_seconds DOUBLE PRECISION NOT NULL,
    max_backlog BIGINT NOT NULL,
    enabled BOOLEAN NOT NULL,
    disabled_reason TEXT,
    enabled_at TIMESTAMPTZ NOT NULL,
    sent BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    dropped BIGINT NOT NULL,
    failing_since TIMESTAMPTZ,
    last_sent_at TIMESTAMPTZ,
    last_error TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    updated_by VARCHAR(255) NOT NULL
);
-- next
CREATE UNIQUE INDEX idx_hammerwork_streams_name ON hammerwork_streams (name);
-- next
-- Events of streams. A sent one is deleted, or stays for a while so that nobody finds it again.
CREATE TABLE hammerwork_stream_events (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id UUID NOT NULL,
    event_type VARCHAR(40) NOT NULL,
    job_id UUID,
    body TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    sent_at TIMESTAMPTZ
);
-- next
CREATE INDEX idx_hammerwork_stream_events_unsent ON hammerwork_stream_events (stream_id, id) WHERE sent_at IS NULL;
-- next
CREATE INDEX idx_hammerwork_stream_events_job ON hammerwork_stream_events (job_id);

-- [mysql]
-- Names are bytes: the collation of the tables takes different names for one.
CREATE TABLE hammerwork_webhooks (
    id CHAR(36) NOT NULL PRIMARY KEY,
    name VARBINARY(1020) NOT NULL,
    url TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    method VARCHAR(10) NOT NULL,
    events TEXT NOT NULL,
    queues LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    priorities TEXT NOT NULL,
    headers LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    auth TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    secret TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    old_secret TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    old_until DATETIME(6) NULL,
    body VARCHAR(20) NOT NULL,
    template LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    include_payload BOOLEAN NOT NULL,
    allow_private BOOLEAN NOT NULL,
    insecure BOOLEAN NOT NULL,
    timeout_seconds INTEGER NOT NULL,
    max_retries INTEGER NOT NULL,
    enabled BOOLEAN NOT NULL,
    disabled_reason TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    enabled_at DATETIME(6) NOT NULL,
    delivered BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    failing_since DATETIME(6) NULL,
    last_success_at DATETIME(6) NULL,
    last_failure_at DATETIME(6) NULL,
    last_answer TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    updated_by VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    UNIQUE INDEX idx_hammerwork_webhooks_name (name)
) ENGINE = InnoDB COLLATE = {collation};
-- next
CREATE TABLE hammerwork_streams (
    id CHAR(36) NOT NULL PRIMARY KEY,
    name VARBINARY(1020) NOT NULL,
    backend VARCHAR(20) NOT NULL,
    target LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    events TEXT NOT NULL,
    queues LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    priorities TEXT NOT NULL,
    partitioning VARCHAR(20) NOT NULL,
    format VARCHAR(20) NOT NULL,
    include_payload BOOLEAN NOT NULL,
    buffer_size INTEGER NOT NULL,
    buffer_seconds DOUBLE NOT NULL,
    max_backlog BIGINT NOT NULL,
    enabled BOOLEAN NOT NULL,
    disabled_reason TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    enabled_at DATETIME(6) NOT NULL,
    sent BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    dropped BIGINT NOT NULL,
    failing_since DATETIME(6) NULL,
    last_sent_at DATETIME(6) NULL,
    last_error TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    updated_by VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    UNIQUE INDEX idx_hammerwork_streams_name (name)
) ENGINE = InnoDB COLLATE = {collation};
-- next
-- Events of streams. A sent one is deleted, or stays for a while so that nobody finds it again.
CREATE TABLE hammerwork_stream_events (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    stream_id CHAR(36) NOT NULL,
    event_type VARCHAR(40) NOT NULL,
    job_id CHAR(36) NULL,
    body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    created_at DATETIME(6) NOT NULL,
    sent_at DATETIME(6) NULL,
    INDEX idx_hammerwork_stream_events_unsent (stream_id, sent_at, id),
    INDEX idx_hammerwork_stream_events_job (job_id)
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
CREATE TABLE hammerwork_webhooks (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    method TEXT NOT NULL,
    events TEXT NOT NULL,
    queues TEXT NOT NULL,
    priorities TEXT NOT NULL,
    headers TEXT NOT NULL,
    auth TEXT NOT NULL,
    secret TEXT,
    old_secret TEXT,
    old_until TEXT,
    body TEXT NOT NULL,
    template TEXT,
    include_payload INTEGER NOT NULL,
    allow_private INTEGER NOT NULL,
    insecure INTEGER NOT NULL,
    timeout_seconds INTEGER NOT NULL,
    max_retries INTEGER NOT NULL,
    enabled INTEGER NOT NULL,
    disabled_reason TEXT,
    enabled_at TEXT NOT NULL,
    delivered INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    failing_since TEXT,
    last_success_at TEXT,
    last_failure_at TEXT,
    last_answer TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    updated_by TEXT NOT NULL
) STRICT;
-- next
CREATE UNIQUE INDEX idx_hammerwork_webhooks_name ON hammerwork_webhooks (name);
-- next
CREATE TABLE hammerwork_streams (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    backend TEXT NOT NULL,
    target TEXT NOT NULL,
    events TEXT NOT NULL,
    queues TEXT NOT NULL,
    priorities TEXT NOT NULL,
    partitioning TEXT NOT NULL,
    format TEXT NOT NULL,
    include_payload INTEGER NOT NULL,
    buffer_size INTEGER NOT NULL,
    buffer_seconds REAL NOT NULL,
    max_backlog INTEGER NOT NULL,
    enabled INTEGER NOT NULL,
    disabled_reason TEXT,
    enabled_at TEXT NOT NULL,
    sent INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    failing_since TEXT,
    last_sent_at TEXT,
    last_error TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    updated_by TEXT NOT NULL
) STRICT;
-- next
CREATE UNIQUE INDEX idx_hammerwork_streams_name ON hammerwork_streams (name);
-- next
-- Events of streams. A sent one is deleted, or stays for a while so that nobody finds it again. Ids are not given twice:
-- they are the order.
CREATE TABLE hammerwork_stream_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    job_id TEXT,
    body TEXT NOT NULL,
    created_at TEXT NOT NULL,
    sent_at TEXT
) STRICT;
-- next
CREATE INDEX idx_hammerwork_stream_events_unsent ON hammerwork_stream_events (stream_id, id) WHERE sent_at IS NULL;
-- next
CREATE INDEX idx_hammerwork_stream_events_job ON hammerwork_stream_events (job_id);
