-- Callbacks at the end of batches, trees and workflows

-- [postgresql]
-- Jobs that are enqueued when all jobs of a batch or a tree have ended. The id is that of the job too, so that it is
-- enqueued once.
CREATE TABLE hammerwork_watches (
    id UUID PRIMARY KEY,
    subject VARCHAR(20) NOT NULL,
    subject_id UUID NOT NULL,
    event VARCHAR(20) NOT NULL,
    job TEXT NOT NULL,
    state VARCHAR(20) NOT NULL,
    check_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL
);
-- next
CREATE INDEX idx_hammerwork_watches_check ON hammerwork_watches (state, check_at);
-- next
CREATE INDEX idx_hammerwork_watches_subject ON hammerwork_watches (subject_id);

-- [mysql]
-- Jobs that are enqueued when all jobs of a batch or a tree have ended. The id is that of the job too, so that it is
-- enqueued once. DATETIME knows times after 2038.
CREATE TABLE hammerwork_watches (
    id CHAR(36) NOT NULL PRIMARY KEY,
    subject VARCHAR(20) NOT NULL,
    subject_id CHAR(36) NOT NULL,
    event VARCHAR(20) NOT NULL,
    job LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    state VARCHAR(20) NOT NULL,
    check_at DATETIME(6) NOT NULL,
    ended_at DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    changed_at DATETIME(6) NOT NULL,
    INDEX idx_hammerwork_watches_check (state, check_at),
    INDEX idx_hammerwork_watches_subject (subject_id)
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
-- Jobs that are enqueued when all jobs of a batch or a tree have ended. The id is that of the job too, so that it is
-- enqueued once.
CREATE TABLE hammerwork_watches (
    id TEXT NOT NULL PRIMARY KEY,
    subject TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    event TEXT NOT NULL,
    job TEXT NOT NULL,
    state TEXT NOT NULL,
    check_at TEXT NOT NULL,
    ended_at TEXT,
    created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL
) STRICT;
-- next
CREATE INDEX idx_hammerwork_watches_check ON hammerwork_watches (state, check_at);
-- next
CREATE INDEX idx_hammerwork_watches_subject ON hammerwork_watches (subject_id);
