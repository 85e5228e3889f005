-- Fragments and statements that several files use.

-- name: schema [postgresql]
-- Columns of the hammerwork tables that an unqualified name reaches.
SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND c.relname LIKE 'hammerwork\_%' AND pg_table_is_visible(c.oid)

-- name: schema [mysql]
SELECT table_name, column_name, column_type
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name LIKE 'hammerwork\_%'

-- name: schema [sqlite]
SELECT t.name, c.name, c.type
FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c
WHERE t.type = 'table' AND t.name LIKE 'hammerwork\_%' ESCAPE '\'

-- name: index_migration
-- Whether our own indexes are there.
SELECT 1 FROM hammerwork_migrations WHERE migration_id = '015_spawn_indexes'

-- name: same
-- Whether a name is another one, to the letter: {same column value}.
$1 = $2

-- name: same [mysql]
-- The collation finds it in an index, and takes names for the same that differ in letter case, accents or spaces at
-- their end; bytes do not. Both are converted: a table may be in another character set than the connection.
($1 = $2 AND CAST(CONVERT($1 USING utf8mb4) AS BINARY) = CAST(CONVERT($2 USING utf8mb4) AS BINARY))

-- name: exactly
-- A text that is compared to the letter, where no index is needed.
$1

-- name: exactly [mysql]
CAST(CONVERT($1 USING utf8mb4) AS BINARY)

-- name: as_id [mysql]
-- A text that is compared with ids, in the collation of the connection, which is theirs.
CAST($1 AS CHAR(36))

-- name: as_id [mysql narrow]
-- Where they are in a character set that the connection is not in: ASCII becomes that of the column, whichever it is, and
-- so the index serves. Anything else would make the column become the other's.
CONVERT($1 USING ascii)

-- name: by_name
-- What groups rows by a name, to the letter.
$1

-- name: by_name [mysql]
$1, CAST($1 AS BINARY)

-- name: archived_at
j.archived_at

-- name: archived_at [unarchivable]
NULL

-- name: unarchived
-- Open and fresh jobs are never archived; said aloud, the partial indexes of 010 can be used.
j.archived_at IS NULL

-- name: unarchived [unarchivable]
TRUE

-- name: config [postgresql]
(j.payload -> '_spawn_config')

-- name: config [mysql]
JSON_EXTRACT(j.payload, '$._spawn_config')

-- name: config [sqlite]
(j.payload -> '$._spawn_config')

-- name: has_config [postgresql]
(j.payload ? '_spawn_config' AND jsonb_typeof(j.payload) = 'object')

-- name: has_config [mysql]
JSON_CONTAINS_PATH(j.payload, 'one', '$._spawn_config')

-- name: has_config [mysql indexed]
j.has_spawn_config = 1

-- name: has_config [sqlite]
json_type(j.payload, '$._spawn_config') IS NOT NULL

-- name: node
-- The columns of models.TreeNode, in order, of hammerwork_jobs j.
j.id, j.queue_name, j.status, j.priority, j.attempts, j.depends_on, j.created_at, j.started_at, j.completed_at,
COALESCE(j.failed_at, j.timed_out_at), substr(j.error_message, 1, 500), {config},
j.workflow_id, j.workflow_name, {archived_at}

-- name: archived_node
-- The same of hammerwork_jobs_archive j; the packed payload stands where the spawn configuration will be.
j.id, j.queue_name, j.status, j.priority, j.attempts, j.depends_on, j.created_at, j.started_at, j.completed_at,
COALESCE(j.failed_at, j.timed_out_at), substr(j.error_message, 1, 500),
CASE WHEN length(j.payload) <= 65536 THEN j.payload END, NULL, NULL, j.archived_at

-- name: among
-- Long lists of ids, as Database.ids makes them.
IN (:ids)

-- name: among [postgresql]
-- One value: psycopg takes longer to find a thousand places in a statement than the server to find a thousand rows.
= ANY(CAST(:ids AS uuid[]))

-- name: among [sqlite]
-- One value too, which takes less memory than 100,000.
IN (SELECT value FROM json_each(:ids))

-- name: lock_clause
FOR UPDATE

-- name: lock_clause [sqlite]
-- Its write transactions are alone from their start.

-- name: claimed_job
-- The columns of queries.claims.Claimed, in order.
j.id, j.queue_name, j.payload, j.priority, j.attempts, j.max_attempts, j.timeout_seconds, j.created_at, j.scheduled_at,
j.depends_on, j.workflow_id, j.workflow_name, j.trace_id, j.correlation_id, j.parent_span_id, j.span_context,
j.cron_schedule, j.timezone, j.recurring, j.next_run_at, j.result_ttl_seconds, j.result_max_size_bytes,
j.retry_strategy, j.claim_losses, {ancestry}

-- name: ancestry
-- Where a job stands in its tree: models.Ancestry.
NULL

-- name: ancestry [claim_times]
j.ancestry

-- name: still_claimed
-- Whether the worker that claimed_by names still has the running job j.
TRUE

-- name: still_claimed [claim_times]
-- A Rust worker that takes a job overwrites started_at and leaves our columns. An older version of ours wrote no
-- claimed_at.
(j.claimed_at IS NULL OR j.claimed_at = j.started_at)

-- name: silent_for [postgresql]
-- Seconds since the last heartbeat of worker w.
EXTRACT(EPOCH FROM clock_timestamp() - w.heartbeat_at)::float8

-- name: silent_for [mysql]
TIMESTAMPDIFF(MICROSECOND, w.heartbeat_at, UTC_TIMESTAMP(6)) / 1e6

-- name: silent_for [sqlite]
(julianday('now') - julianday(w.heartbeat_at)) * 86400

-- name: first_parent [postgresql]
j.depends_on[1]

-- name: first_parent [mysql]
j.first_parent

-- name: first_parent [sqlite]
-- In lower case as ids are, however the list spells it; so is the index.
lower(json_extract(j.depends_on, '$[0]'))

-- name: is_first_child [postgresql]
c.depends_on[1] = j.id

-- name: is_first_child [mysql]
c.first_parent = j.id

-- name: is_first_child [sqlite]
-- The plus sign: compared as the column's text, the value would not be looked up in the index of an expression.
lower(json_extract(c.depends_on, '$[0]')) = +j.id

-- name: edges [postgresql]
-- Every parent of every job.
(SELECT e.parent, c.id, c.status, c.created_at, c.started_at, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c CROSS JOIN LATERAL unnest(c.depends_on) AS e (parent))

-- name: edges [postgresql jsonb]
(SELECT CASE WHEN e.parent ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN e.parent::uuid END AS parent,
c.id, c.status, c.created_at, c.started_at, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c CROSS JOIN LATERAL jsonb_array_elements_text(
CASE jsonb_typeof(c.depends_on) WHEN 'array' THEN c.depends_on ELSE '[]' END) AS e (parent))

-- name: edges [mysql]
(SELECT CAST(e.parent AS CHAR(36)) AS parent, c.id, c.status, c.created_at, c.started_at, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c
JOIN JSON_TABLE(c.depends_on, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e)

-- name: edges [mysql narrow]
(SELECT CONVERT(e.parent USING ascii) AS parent, c.id, c.status, c.created_at, c.started_at, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c
JOIN JSON_TABLE(c.depends_on, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e)

-- name: edges [sqlite]
(SELECT lower(e.value) AS parent, c.id, c.status, c.created_at, c.started_at, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c JOIN json_each(c.depends_on) AS e)

-- name: joined_edges [postgresql]
-- The parents after the first, of the jobs that have several.
(SELECT e.parent, c.id, c.status, c.created_at, c.started_at, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c CROSS JOIN LATERAL unnest(c.depends_on[2:]) AS e (parent)
WHERE cardinality(c.depends_on) > 1)

-- name: joined_edges [mysql]
(SELECT CAST(e.parent AS CHAR(36)) AS parent, c.id, c.status, c.created_at, c.started_at, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c
JOIN JSON_TABLE(c.depends_on, '$[*]' COLUMNS (place FOR ORDINALITY, parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
WHERE c.parent_count > 1 AND e.place > 1)

-- name: joined_edges [mysql narrow]
(SELECT CONVERT(e.parent USING ascii) AS parent, c.id, c.status, c.created_at, c.started_at, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c
JOIN JSON_TABLE(c.depends_on, '$[*]' COLUMNS (place FOR ORDINALITY, parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
WHERE c.parent_count > 1 AND e.place > 1)

-- name: joined_edges [sqlite]
(SELECT lower(e.value) AS parent, c.id, c.status, c.created_at, c.started_at, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c JOIN json_each(c.depends_on) AS e
WHERE json_array_length(c.depends_on) > 1 AND e.key > 0)

-- name: archived_edges [postgresql]
-- Every parent of every archived job.
(SELECT e.parent, c.id FROM hammerwork_jobs_archive c CROSS JOIN LATERAL unnest(c.depends_on) AS e (parent))

-- name: archived_edges [postgresql jsonb]
(SELECT CASE WHEN e.parent ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN e.parent::uuid END AS parent, c.id
FROM hammerwork_jobs_archive c CROSS JOIN LATERAL jsonb_array_elements_text(
CASE jsonb_typeof(to_jsonb(c.depends_on)) WHEN 'array' THEN to_jsonb(c.depends_on) ELSE '[]' END) AS e (parent))

-- name: archived_edges [mysql]
(SELECT CAST(e.parent AS CHAR(36)) AS parent, c.id FROM hammerwork_jobs_archive c
JOIN JSON_TABLE(c.depends_on, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e)

-- name: archived_edges [mysql narrow]
(SELECT CONVERT(e.parent USING ascii) AS parent, c.id FROM hammerwork_jobs_archive c
JOIN JSON_TABLE(c.depends_on, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e)

-- name: archived_edges [sqlite]
(SELECT lower(e.value) AS parent, c.id FROM hammerwork_jobs_archive c JOIN json_each(c.depends_on) AS e)

-- name: has_children [by_first_parent]
-- Not EXISTS: MariaDB would first collect the parents of the whole table.
((SELECT 1 FROM hammerwork_jobs c WHERE {is_first_child} LIMIT 1) IS NOT NULL
OR j.id IN (SELECT c.parent FROM {joined_edges} AS c WHERE c.parent IS NOT NULL))

-- name: has_children [postgresql by_first_parent]
(EXISTS (SELECT 1 FROM hammerwork_jobs c WHERE {is_first_child})
OR (SELECT COUNT(*) FROM hammerwork_jobs c WHERE c.depends_on @> ARRAY[j.id] AND cardinality(c.depends_on) > 1) > 0)

-- name: has_children [by_gin]
-- Counted, not EXISTS: to find any, the planner hopes to meet one early in the table, and reads all of it for each job.
(SELECT COUNT(*) FROM hammerwork_jobs c WHERE c.depends_on @> ARRAY[j.id]) > 0

-- name: has_children [by_scan]
j.id IN (SELECT c.parent FROM {edges} AS c WHERE c.parent IS NOT NULL)

-- name: or_archived_children
-- Follows {has_children} where an archived child counts too.

-- name: or_archived_children [archive]
OR j.id IN (SELECT c.parent FROM {archived_edges} AS c WHERE c.parent IS NOT NULL)

-- name: or_archived_children [archive by_first_parent]
OR (SELECT 1 FROM hammerwork_jobs_archive c WHERE {is_first_child} LIMIT 1) IS NOT NULL

-- name: parents [postgresql]
-- The parents of jobs j: each is e in the list of its child, and p where it exists.
LEFT JOIN LATERAL (SELECT u.parent, u.place FROM unnest(j.depends_on) WITH ORDINALITY AS u (parent, place)) AS e ON TRUE
LEFT JOIN hammerwork_jobs p ON p.id = e.parent

-- name: parents [postgresql jsonb]
LEFT JOIN LATERAL (
SELECT CASE WHEN u.parent ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN u.parent::uuid END AS parent, u.place
FROM jsonb_array_elements_text(
CASE jsonb_typeof(j.depends_on) WHEN 'array' THEN j.depends_on ELSE '[]' END) WITH ORDINALITY AS u (parent, place)
) AS e ON TRUE
LEFT JOIN hammerwork_jobs p ON p.id = e.parent

-- name: parents [mysql]
LEFT JOIN JSON_TABLE(j.depends_on, '$[*]'
COLUMNS (place FOR ORDINALITY, parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e ON TRUE
LEFT JOIN hammerwork_jobs p ON p.id = CAST(e.parent AS CHAR(36))

-- name: parents [mysql narrow]
LEFT JOIN JSON_TABLE(j.depends_on, '$[*]'
COLUMNS (place FOR ORDINALITY, parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e ON TRUE
LEFT JOIN hammerwork_jobs p ON p.id = CONVERT(e.parent USING ascii)

-- name: parents [sqlite]
LEFT JOIN json_each(j.depends_on) AS e ON TRUE
LEFT JOIN hammerwork_jobs p ON p.id = lower(e.value)

-- name: archived_parents
-- Follows {parents}: a is the archived copy of the parent, where it exists.

-- name: archived_parents [archive]
LEFT JOIN hammerwork_jobs_archive a ON a.id = e.parent

-- name: archived_parents [archive mysql]
LEFT JOIN hammerwork_jobs_archive a ON a.id = CAST(e.parent AS CHAR(36))

-- name: archived_parents [archive mysql narrow]
LEFT JOIN hammerwork_jobs_archive a ON a.id = CONVERT(e.parent USING ascii)

-- name: archived_parents [archive sqlite]
LEFT JOIN hammerwork_jobs_archive a ON a.id = lower(e.value)

-- name: parent_text
-- The id of a parent as text.
CAST(e.parent AS CHAR(36))

-- name: parent_text [mysql narrow]
CAST(CONVERT(e.parent USING ascii) AS CHAR(36))

-- name: parent_text [sqlite]
CAST(lower(e.value) AS CHAR(36))

-- name: parent_status
p.status

-- name: parent_status [archive]
COALESCE(p.status, a.status)

-- name: place
-- NULL where a job has no parents.
e.place

-- name: place [sqlite]
e.key

-- name: run_seconds [postgresql]
-- How long the job c ran; NULL where its times are none that can be read.
CASE WHEN isfinite(c.completed_at) AND isfinite(c.started_at)
THEN EXTRACT(EPOCH FROM c.completed_at - c.started_at)::float8 END

-- name: run_seconds [mysql]
TIMESTAMPDIFF(MICROSECOND, c.started_at, c.completed_at) / 1e6

-- name: run_seconds [sqlite]
(julianday(c.completed_at) - julianday(c.started_at)) * 86400

-- name: never_recorded
-- Whether no worker has recorded that job j spawned, or could not and completed all the same.
TRUE

-- name: never_recorded [workers]
(SELECT 1 FROM hammerwork_spawn_operations o WHERE o.parent_id = j.id AND o.outcome <> 'repeated' LIMIT 1) IS NULL
