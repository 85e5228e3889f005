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
