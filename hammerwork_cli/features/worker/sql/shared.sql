-- Fragments that the statements of worker/ share.

-- name: skip_locked
-- Locks the rows that a statement selects, except those that another transaction has locked.
FOR UPDATE SKIP LOCKED

-- name: skip_locked [sqlite]
-- A write transaction of SQLite is the only one from its start.

-- name: lease_end [postgresql]
-- When a lease of :lease seconds ends that begins now, by the server's clock.
clock_timestamp() + make_interval(secs => :lease)

-- name: lease_end [mysql]
-- A TIMESTAMP goes no further.
LEAST(UTC_TIMESTAMP(6) + INTERVAL :lease SECOND, TIMESTAMP'2038-01-19 03:14:07')

-- name: lease_end [sqlite]
strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', :lease || ' seconds')

-- name: claimed
-- Guards every change that a worker makes: whether its claim still holds.
claim_token = :token AND status = 'Running' AND started_at = :started

-- name: of_this_worker
-- Whether the worker still has the job. A Rust worker that claimed it has written another start; our workers before 018
-- wrote no time of the claim.
status = 'Running' AND claimed_by = :worker AND (claimed_at = started_at OR claimed_at IS NULL)

-- name: counts
-- The number of descendants of a root, if it is counted, and the number of spawn keys of a run.
(SELECT t.descendants FROM hammerwork_spawn_trees t WHERE t.root_id = :root AND t.occurrence = :tree_occurrence)
/* if :keys */ , (SELECT COUNT(*) FROM hammerwork_spawned_children c WHERE c.parent_id = :parent AND c.occurrence = :keys_of)
