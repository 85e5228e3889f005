-- What one worker at a time does for the database: when it is due next, and the worker that did it last.
CREATE TABLE hammerwork_duties (
    name TEXT NOT NULL PRIMARY KEY,
    due_at TEXT NOT NULL,
    claimed_by TEXT
) STRICT;
