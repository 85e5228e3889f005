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

-- name: limit_key
-- {limit_key keys}: the value in the payload of job j that the limit of its queue goes by. Those without one share it.
COALESCE(CASE WHEN NOT j.is_encrypted THEN j.payload #>> ARRAY(SELECT jsonb_array_elements_text(CAST($1 AS JSONB))) END, '')

-- name: limit_key [mysql]
COALESCE(CASE WHEN NOT j.is_encrypted AND COALESCE(JSON_TYPE(JSON_EXTRACT(j.payload, $1)), 'NULL') <> 'NULL'
THEN CONVERT(JSON_UNQUOTE(JSON_EXTRACT(j.payload, $1)) USING utf8mb4) COLLATE utf8mb4_bin END, '')

-- name: limit_key [sqlite]
COALESCE(CASE WHEN NOT j.is_encrypted AND json_valid(j.payload) THEN
CASE json_type(j.payload, $1) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
ELSE CAST(json_extract(j.payload, $1) AS TEXT) END END, '')
