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
