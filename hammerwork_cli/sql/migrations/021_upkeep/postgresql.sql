-- What one worker at a time does for the database: when it is due next, and the worker that did it last.
CREATE TABLE hammerwork_duties (
    name VARCHAR(100) PRIMARY KEY,
    due_at TIMESTAMPTZ NOT NULL,
    claimed_by UUID
);
