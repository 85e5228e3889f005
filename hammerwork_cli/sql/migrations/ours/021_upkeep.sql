-- Duties that one worker at a time does
--
-- What one worker at a time does for the database: when it is due next, and the worker that did it last.

-- [postgresql]
CREATE TABLE hammerwork_duties (
    name VARCHAR(100) PRIMARY KEY,
    due_at TIMESTAMPTZ NOT NULL,
    claimed_by UUID
);

-- [mysql]
CREATE TABLE hammerwork_duties (
    name VARCHAR(100) NOT NULL PRIMARY KEY,
    due_at TIMESTAMP(6) NOT NULL,
    claimed_by CHAR(36) NULL
) ENGINE = InnoDB COLLATE = {collation};

-- [sqlite]
CREATE TABLE hammerwork_duties (
    name TEXT NOT NULL PRIMARY KEY,
    due_at TEXT NOT NULL,
    claimed_by TEXT
) STRICT;
