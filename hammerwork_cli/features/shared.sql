-- Statements and fragments that several folders use. j is a job, c a child of it, p a parent, w a worker.

-- name: schema [postgresql]
-- Lists the columns of the hammerwork tables that an unqualified name reaches.
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

-- name: has_tables [postgresql]
-- Tells whether an unqualified name reaches both the table of jobs and the list of applied migrations.
SELECT 1 WHERE (SELECT COUNT(*) FROM pg_class c WHERE c.relname IN ('hammerwork_jobs', 'hammerwork_migrations')
AND c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid)) = 2

-- name: has_tables [mysql]
SELECT 1 FROM DUAL WHERE (SELECT COUNT(*) FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name IN ('hammerwork_jobs', 'hammerwork_migrations')) = 2

-- name: has_tables [sqlite]
SELECT 1 WHERE (SELECT COUNT(*) FROM sqlite_schema
WHERE type = 'table' AND name IN ('hammerwork_jobs', 'hammerwork_migrations')) = 2

-- name: applied_migrations
-- Lists the applied migrations, which say what the tables do not.
SELECT migration_id FROM hammerwork_migrations

-- name: identity [postgresql]
-- What tells the jobs of a database from those of any other: the schema, as a statement names it, the database, the table
-- and the server. Without :schema, the schema that an unqualified name reaches. Not every user may ask for the server.
SELECT quote_ident(n.nspname), current_database(), CAST(c.oid AS text),
CASE WHEN has_function_privilege('pg_control_system()', 'execute')
THEN (SELECT CAST(s.system_identifier AS text) FROM pg_control_system() AS s) ELSE '' END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = 'hammerwork_jobs' AND c.relkind IN ('r', 'p')
/* if :visible */ AND pg_table_is_visible(c.oid)
/* if :schema */ AND c.relnamespace = to_regnamespace(:schema)

-- name: identity [mysql]
-- The database, as a statement names it, and when its tables were made.
SELECT CONCAT('`', REPLACE(DATABASE(), '`', '``'), '`'), CAST(UNIX_TIMESTAMP(MIN(executed_at)) AS CHAR) FROM hammerwork_migrations

-- name: unless_it_exists
-- {unless_it_exists table}: ends an insert that skips a row whose id exists.
ON CONFLICT (id) DO NOTHING

-- name: unless_it_exists [mysql]
ON DUPLICATE KEY UPDATE id = $1.id

-- name: unless_it_exists [mysql borrowed]
-- The connection of an application may count the rows that it finds, not those that it changes: there the error of a
-- duplicate key tells, after which a transaction goes on.

-- name: same
-- {same column value}: whether two names are the same to the letter.
$1 = $2

-- name: same [mysql]
-- The collation uses an index, but ignores letter case, accents and trailing spaces; bytes ignore nothing. Both sides
-- are converted, since a table may have another character set than the connection.
($1 = $2 AND CAST(CONVERT($1 USING utf8mb4) AS BINARY) = CAST(CONVERT($2 USING utf8mb4) AS BINARY))

-- name: failure_policy [postgresql]
-- The failure policy of workflow w. The constraint of hammerwork (Rust) knows three: ours is stored as manual, with which
-- that program leaves dependents alone, and with its name in the metadata.
CASE WHEN w.failure_policy = 'manual' AND w.metadata ->> '_failure_policy' = 'ignore_failures'
THEN 'ignore_failures' ELSE w.failure_policy END

-- name: failure_policy [mysql]
CASE WHEN w.failure_policy = 'manual' AND JSON_UNQUOTE(JSON_EXTRACT(w.metadata, '$._failure_policy')) = 'ignore_failures'
THEN 'ignore_failures' ELSE w.failure_policy END

-- name: failure_policy [sqlite]
CASE WHEN w.failure_policy = 'manual' AND json_extract(w.metadata, '$._failure_policy') = 'ignore_failures'
THEN 'ignore_failures' ELSE w.failure_policy END

-- name: one_of
-- {one_of column values}: whether a name is one of some, to the letter. Every server takes one value as it takes {same}.
$1 IN ($2)

-- name: one_of [mysql]
($1 IN ($2) AND CAST(CONVERT($1 USING utf8mb4) AS BINARY) IN ($2))

-- name: readable
-- {readable column}: a text for comparisons. The connection of an application may have a character set that lacks some of
-- its characters, or one that its library does not know of; bytes are not converted.
$1

-- name: readable [borrowed postgresql]
convert_to(CAST($1 AS text), 'UTF8')

-- name: readable [borrowed mysql]
CAST(CONVERT($1 USING utf8mb4) AS BINARY)

-- name: one_more
-- {one_more column}: one more than a count. At the end of its integer it stays, or its row would stop all others.
CASE WHEN $1 < 2147483647 THEN $1 + 1 WHEN $1 IS NULL THEN 1 ELSE 2147483647 END

-- name: unleased
-- Ends the lease of a running job, in every statement that changes a status: tests/unit/test_leases.py finds one that forgets it.
, last_heartbeat_at = NULL, lease_expires_at = NULL

-- name: next_release
-- Changes the column releases, which begins again after the end of its integer.
CASE WHEN releases < 2147483647 THEN releases + 1 ELSE 1 END

-- name: exactly
-- A text that is compared to the letter, where no index is needed.
$1

-- name: exactly [mysql]
CAST(CONVERT($1 USING utf8mb4) AS BINARY)

-- name: as_id [mysql]
-- A text to compare with ids, in the collation of the connection, which is that of the ids.
CAST($1 AS CHAR(36))

-- name: as_id [mysql narrow]
-- Here the ids have another character set than the connection. ASCII converts to the character set of the column, so
-- the index is used; with any other, MySQL would convert the column.
CONVERT($1 USING ascii)

-- name: by_name
-- Groups rows by a name, to the letter.
$1

-- name: by_name [mysql]
$1, CAST($1 AS BINARY)

-- name: last_pending
-- Selects the pending jobs, of a queue or of all, that are due last. A job that waits for another attempt is due later
-- than the jobs that were there before it.
SELECT j.id, j.queue_name, j.scheduled_at, CASE WHEN {status j} = 'Retrying' THEN 1 ELSE 0 END AS retrying
FROM hammerwork_jobs j WHERE j.status = 'Pending'
/* if :queues */ AND {one_of j.queue_name :queues}
ORDER BY j.scheduled_at DESC LIMIT :most_pending

-- name: last_pending [mysql]
-- Selects the newest pending jobs: the index on due times has the jobs of all statuses.
SELECT j.id, j.queue_name, j.scheduled_at, CASE WHEN {status j} = 'Retrying' THEN 1 ELSE 0 END AS retrying
FROM {by_state} WHERE j.status = 'Pending' AND j.completed_at IS NULL AND j.failed_at IS NULL
/* if :queues */ AND {one_of j.queue_name :queues}
ORDER BY j.completed_at DESC, j.failed_at DESC, j.created_at DESC LIMIT :most_pending

-- name: by_state
-- Jobs j, to be read by their status.
hammerwork_jobs j

-- name: by_state [mysql current]
-- Without the hint MariaDB would intersect two other indexes and sort every running job.
hammerwork_jobs j USE INDEX (idx_hammerwork_jobs_archival_candidates)

-- name: archived_at [archive]
-- When job j was archived.
j.archived_at

-- name: archived_at
NULL

-- name: unarchived [archive]
-- Pending and new jobs are never archived, but the partial indexes of 010 are used only if the statement says so.
j.archived_at IS NULL

-- name: unarchived
TRUE

-- name: failure_time
-- When the last attempt of job j failed, as far as is known. hammerwork (Rust) writes no failed_at for jobs that timed out
-- or that it declared dead. Of a job that waits for another attempt, the history has it; of one that a Rust worker ran, only
-- the due time of the next attempt tells, which is later.
CASE WHEN j.status NOT IN ('Pending', 'Retrying')
THEN COALESCE(j.failed_at, j.timed_out_at, j.completed_at, j.started_at, j.created_at)
ELSE COALESCE((SELECT MAX(a.ended_at) FROM hammerwork_attempts a WHERE a.job_id = j.id AND a.attempt = j.attempts),
CASE WHEN j.scheduled_at < {server_now} THEN j.scheduled_at ELSE {server_now} END) END

-- name: failure_time [original]
CASE WHEN j.status NOT IN ('Pending', 'Retrying')
THEN COALESCE(j.failed_at, j.timed_out_at, j.completed_at, j.started_at, j.created_at)
WHEN j.scheduled_at < {server_now} THEN j.scheduled_at ELSE {server_now} END

-- name: config [postgresql]
-- The spawn configuration of job j.
(j.payload -> '_spawn_config')

-- name: config [mysql]
JSON_EXTRACT(j.payload, '$._spawn_config')

-- name: config [sqlite]
(j.payload -> '$._spawn_config')

-- name: has_config [postgresql]
-- Whether job j has spawn configuration.
(j.payload ? '_spawn_config' AND j.payload -> '_spawn_config' IS NOT NULL)

-- name: has_config [mysql original]
JSON_CONTAINS_PATH(j.payload, 'one', '$._spawn_config')

-- name: has_config [mysql]
j.has_spawn_config = 1

-- name: has_config [sqlite]
json_type(j.payload, '$._spawn_config') IS NOT NULL

-- name: may_have_config
-- Whether job j may have spawn configuration.
{has_config}

-- name: may_have_config [postgresql]
-- The index alone answers this, and the planner has its statistics. It is also true of a list that holds the name.
j.payload ? '_spawn_config'

-- name: status
-- {status j}: the status of a job as it is shown. A Pending job with an error of an earlier attempt is Retrying. A
-- Failed job is Cancelled if `job cancel` (with the jobs that waited for it) or hammerwork (Rust) has cancelled it; only
-- the error tells. Misspelt statuses stay as they are. core.values.DERIVED names both.
CASE WHEN $1.status = 'Pending' AND $1.attempts > 0 AND $1.error_message IS NOT NULL THEN 'Retrying'
WHEN $1.status = 'Failed' AND ($1.error_message LIKE 'cancelled by % through hammerwork%'
OR $1.error_message LIKE 'a job that it depends on was cancelled by % through hammerwork%'
OR $1.error_message = 'Workflow cancelled') THEN 'Cancelled' ELSE $1.status END

-- name: node
-- The columns of tree.model.TreeNode, in order, of hammerwork_jobs j.
j.id, j.queue_name, {status j}, j.priority, j.attempts, j.depends_on, j.created_at, j.started_at, j.completed_at,
COALESCE(j.failed_at, j.timed_out_at), substr(j.error_message, 1, 500), {config},
j.workflow_id, j.workflow_name, {archived_at}, {run_start j}

-- name: archived_node
-- The same columns of hammerwork_jobs_archive j, with the packed payload in place of the spawn configuration.
j.id, j.queue_name, {status j}, j.priority, j.attempts, j.depends_on, j.created_at, j.started_at, j.completed_at,
COALESCE(j.failed_at, j.timed_out_at), substr(j.error_message, 1, 500),
CASE WHEN length(j.payload) <= 65536 THEN j.payload END, j.workflow_id, j.workflow_name, j.archived_at, {archived_run_start}

-- name: archived_node [original]
j.id, j.queue_name, {status j}, j.priority, j.attempts, j.depends_on, j.created_at, j.started_at, j.completed_at,
COALESCE(j.failed_at, j.timed_out_at), substr(j.error_message, 1, 500),
CASE WHEN length(j.payload) <= 65536 THEN j.payload END, NULL, NULL, j.archived_at, j.started_at

-- name: among
-- A long list of ids, as Database.ids makes it.
IN (:ids)

-- name: among [postgresql]
-- One value: psycopg takes longer to find a thousand placeholders in a statement than the server to find a thousand
-- rows.
= ANY(CAST(:ids AS uuid[]))

-- name: among [sqlite]
-- One value, which takes less memory than 100,000.
IN (SELECT value FROM json_each(:ids))

-- name: by_id
-- How a statement that changes or locks jobs finds them by their ids.

-- name: by_id [mysql]
-- InnoDB would rather look at all rows of a small table, and wait for those that others have locked.
FORCE INDEX (PRIMARY)

-- name: lock_clause
-- Locks the rows that a statement selects.
FOR UPDATE

-- name: lock_clause [sqlite]
-- A write transaction of SQLite is the only one from its start.

-- name: is_encrypted
-- Whether the payload of job j is a placeholder for the encrypted one.
FALSE

-- name: is_encrypted [encryption]
j.is_encrypted

-- name: only_encrypted
-- The same in a form that finds the index of encrypted jobs, where migration 011 is applied.
j.is_encrypted

-- name: only_encrypted [mysql]
j.is_encrypted = 1

-- name: only_encrypted [sqlite]
j.is_encrypted = 1

-- name: sealed
-- The columns of models.encryption.Sealed that follow the payload, in order.
j.encryption_key_id, j.encryption_algorithm, j.encrypted_payload, j.encryption_nonce, j.encryption_tag,
j.encryption_metadata, j.payload_hash, j.pii_fields, j.retention_policy, j.retention_delete_at

-- name: ancestry
-- The place of job j in its tree: tree.ancestry.Ancestry.
j.ancestry

-- name: ancestry [original]
NULL

-- name: still_claimed
-- Whether the worker in claimed_by still has the running job j.
-- A Rust worker that claims a job overwrites started_at and leaves our columns. Our workers before 018 wrote no
-- claimed_at.
(j.claimed_at IS NULL OR j.claimed_at = j.started_at)

-- name: by_rust
-- 1 if a Rust worker ran or runs job j, else 0.
CASE WHEN j.claimed_by IS NULL OR NOT {still_claimed} THEN 1 ELSE 0 END

-- name: by_rust [original]
1

-- name: enabled
-- Whether job j may run as far as its schedule says. Version 3 of hammerwork (Rust) disables a recurring job by its flag
-- alone, and claims it no more.
(j.recurring OR j.cron_schedule IS NULL)

-- name: counted_enabled
-- The same for statements that count jobs.
{enabled}

-- name: counted_enabled [mysql]
-- These read an index alone, which has the id of each job. Few jobs have a schedule, and they are looked up once.
j.id NOT IN (SELECT s.id FROM hammerwork_jobs s WHERE s.cron_schedule IS NOT NULL AND NOT s.recurring)

-- name: is_ready
-- Whether a worker may claim job j, if it is due: in the words of the partial indexes.
j.status = 'Pending' AND j.dependency_status IN ('none', 'satisfied') AND {counted_enabled}

-- name: webhook_of [postgresql]
-- The webhook of delivery j.
j.payload ->> 'webhook'

-- name: webhook_of [mysql]
JSON_UNQUOTE(JSON_EXTRACT(j.payload, '$.webhook'))

-- name: webhook_of [sqlite]
j.payload ->> '$.webhook'

-- name: server_now [postgresql]
-- The server's clock.
clock_timestamp()

-- name: server_now [mysql]
UTC_TIMESTAMP(6)

-- name: server_now [sqlite]
strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')

-- name: leased_by_rust
-- Whether a worker of hammerwork (Rust) that keeps leases, as version 3 does, has the running job j, alive or not. A lease
-- from before the start is that of an earlier run, unless the server's clock has been set back since the start. Of our
-- own jobs heartbeats decide.
((j.claimed_by IS NULL OR NOT {still_claimed}) AND j.lease_expires_at IS NOT NULL
AND (j.last_heartbeat_at >= j.started_at OR j.started_at > {server_now}))

-- name: leased_by_rust [original]
FALSE

-- name: leased_by_rust [leases original]
(j.lease_expires_at IS NOT NULL AND (j.last_heartbeat_at >= j.started_at OR j.started_at > {server_now}))

-- name: progress
-- What worker w reported of its threads, its slots and its host's clock, and its counts while it cannot write outcomes: then they name no queue
-- first.
w.main_stalled_seconds, w.finisher_stalled_seconds, w.held_slots, w.clock_ahead_seconds,
CASE WHEN SUBSTR(w.queue_counts, 3, 1) = '"' THEN w.queue_counts END

-- name: silent_for [postgresql]
-- Seconds since the last heartbeat of worker w, or until it: one in the future is as old, by a clock that was wrong.
ABS(EXTRACT(EPOCH FROM clock_timestamp() - w.heartbeat_at))::float8

-- name: silent_for [mysql]
ABS(TIMESTAMPDIFF(MICROSECOND, w.heartbeat_at, UTC_TIMESTAMP(6))) / 1e6

-- name: silent_for [sqlite]
ABS(julianday('now') - julianday(w.heartbeat_at)) * 86400

-- name: is_root [postgresql]
-- Whether job j depends on no job.
COALESCE(cardinality(j.depends_on), 0) = 0

-- name: is_root [postgresql jsonb]
CASE WHEN jsonb_typeof(j.depends_on) = 'array' THEN jsonb_array_length(j.depends_on) ELSE 0 END = 0

-- name: is_root [mysql]
COALESCE(JSON_LENGTH(j.depends_on), 0) = 0

-- name: is_root [sqlite]
COALESCE(json_array_length(j.depends_on), 0) = 0

-- name: has_parent [postgresql]
-- Whether a job on which job j depends exists.
EXISTS (SELECT 1 FROM hammerwork_jobs p WHERE p.id = ANY (j.depends_on))

-- name: has_parent [postgresql jsonb]
EXISTS (SELECT 1 FROM jsonb_array_elements_text(CASE jsonb_typeof(j.depends_on) WHEN 'array' THEN j.depends_on ELSE '[]' END)
AS e (parent) JOIN hammerwork_jobs p ON p.id::text = lower(e.parent))

-- name: has_parent [mysql]
-- Counted, not EXISTS: MySQL 8 can turn that into a join that forgets which row the list belongs to.
(SELECT COUNT(*) FROM JSON_TABLE(j.depends_on, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
JOIN hammerwork_jobs p ON p.id = {as_id e.parent}) > 0

-- name: has_parent [sqlite]
EXISTS (SELECT 1 FROM json_each(j.depends_on) AS e JOIN hammerwork_jobs p ON p.id = lower(e.value))

-- name: first_parent [postgresql]
-- The first parent of job j.
j.depends_on[1]

-- name: first_parent [mysql]
j.first_parent

-- name: first_parent [sqlite]
-- In lower case, as ids and the index are, whatever the list has.
lower(json_extract(j.depends_on, '$[0]'))

-- name: is_first_child [postgresql]
-- Whether job j is the first parent of job c.
c.depends_on[1] = j.id

-- name: is_first_child [mysql]
c.first_parent = j.id

-- name: is_first_child [sqlite]
-- The plus sign removes the affinity of the column, with which SQLite would not use the index of the expression.
lower(json_extract(c.depends_on, '$[0]')) = +j.id

-- name: first_children [postgresql]
-- Jobs j whose first parent is one of :ids. OFFSET keeps the parents apart, so that each is looked up in the index: of a
-- range with unknown ends the planner always expects a small part of the table. Of an equality it expects what the
-- statistics say; where nearly all jobs have the same parent, it would read the whole table for each of :ids.
unnest(CAST(:ids AS uuid[])) AS e (parent) CROSS JOIN LATERAL (SELECT * FROM hammerwork_jobs j
WHERE j.depends_on[1] >= e.parent AND j.depends_on[1] <= e.parent OFFSET 0) AS j

-- name: is_joined_child [postgresql]
-- Whether job j has several parents, and one of :ids among them. The planner is not shown the list: with statistics of
-- few different parents, it would take most jobs for children of any hundred ids, and read them all.
(cardinality(j.depends_on) > 1 AND j.depends_on && (SELECT CAST(:ids AS uuid[])))

-- name: edges [postgresql]
-- (parent, child c) for every parent of every job.
(SELECT e.parent, c.id, c.status, c.attempts, c.error_message, c.created_at, {starts}, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c CROSS JOIN LATERAL unnest(c.depends_on) AS e (parent))

-- name: edges [postgresql jsonb]
(SELECT CASE WHEN e.parent ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN e.parent::uuid END AS parent,
c.id, c.status, c.attempts, c.error_message, c.created_at, {starts}, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c CROSS JOIN LATERAL jsonb_array_elements_text(
CASE jsonb_typeof(c.depends_on) WHEN 'array' THEN c.depends_on ELSE '[]' END) AS e (parent))

-- name: edges [mysql]
(SELECT CAST(e.parent AS CHAR(36)) AS parent, c.id, c.status, c.attempts, c.error_message, c.created_at, {starts}, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c
JOIN JSON_TABLE(c.depends_on, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e)

-- name: edges [mysql narrow]
(SELECT CONVERT(e.parent USING ascii) AS parent, c.id, c.status, c.attempts, c.error_message, c.created_at, {starts}, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c
JOIN JSON_TABLE(c.depends_on, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e)

-- name: edges [sqlite]
(SELECT lower(e.value) AS parent, c.id, c.status, c.attempts, c.error_message, c.created_at, {starts}, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c JOIN json_each(c.depends_on) AS e)

-- name: joined_edges [postgresql]
-- (parent, child c) for the parents after the first, of the jobs that have several.
(SELECT e.parent, c.id, c.status, c.attempts, c.error_message, c.created_at, {starts}, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c CROSS JOIN LATERAL unnest(c.depends_on[2:]) AS e (parent)
WHERE cardinality(c.depends_on) > 1)

-- name: joined_edges [mysql]
(SELECT CAST(e.parent AS CHAR(36)) AS parent, c.id, c.status, c.attempts, c.error_message, c.created_at, {starts}, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c
JOIN JSON_TABLE(c.depends_on, '$[*]' COLUMNS (place FOR ORDINALITY, parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
WHERE c.parent_count > 1 AND e.place > 1)

-- name: joined_edges [mysql narrow]
(SELECT CONVERT(e.parent USING ascii) AS parent, c.id, c.status, c.attempts, c.error_message, c.created_at, {starts}, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c
JOIN JSON_TABLE(c.depends_on, '$[*]' COLUMNS (place FOR ORDINALITY, parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
WHERE c.parent_count > 1 AND e.place > 1)

-- name: joined_edges [sqlite]
(SELECT lower(e.value) AS parent, c.id, c.status, c.attempts, c.error_message, c.created_at, {starts}, c.completed_at,
COALESCE(c.failed_at, c.timed_out_at) AS failed_at
FROM hammerwork_jobs c JOIN json_each(c.depends_on) AS e
WHERE json_array_length(c.depends_on) > 1 AND e.key > 0)

-- name: archived_edges [postgresql]
-- (parent, child c) for every parent of every archived job.
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

-- name: has_children [current]
-- Whether any job depends on job j. Not EXISTS: MariaDB would first collect the parents of the whole table.
((SELECT 1 FROM hammerwork_jobs c WHERE {is_first_child} LIMIT 1) IS NOT NULL
OR j.id IN (SELECT c.parent FROM {joined_edges} AS c WHERE c.parent IS NOT NULL))

-- name: has_children [postgresql current]
(EXISTS (SELECT 1 FROM hammerwork_jobs c WHERE {is_first_child})
OR (SELECT COUNT(*) FROM hammerwork_jobs c WHERE c.depends_on @> ARRAY[j.id] AND cardinality(c.depends_on) > 1) > 0)

-- name: has_children [by_gin]
-- Counted, not EXISTS: for EXISTS, the planner hopes to find a row early and reads the whole table for each job.
(SELECT COUNT(*) FROM hammerwork_jobs c WHERE c.depends_on @> ARRAY[j.id]) > 0

-- name: has_children [by_scan]
j.id IN (SELECT c.parent FROM {edges} AS c WHERE c.parent IS NOT NULL)

-- name: or_archived_children
-- Follows {has_children} where an archived child counts too.

-- name: or_archived_children [archive]
OR j.id IN (SELECT c.parent FROM {archived_edges} AS c WHERE c.parent IS NOT NULL)

-- name: or_archived_children [archive current]
OR (SELECT 1 FROM hammerwork_jobs_archive c WHERE {is_first_child} LIMIT 1) IS NOT NULL

-- name: parents [postgresql]
-- Joins the parents of job j: e is an entry of its list, p the job, if it exists.
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
-- Follows {parents}: a is the archived parent, if it exists.

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
-- The status of a parent.
p.status

-- name: parent_status [archive]
COALESCE(p.status, a.status)

-- name: place
-- The place of a parent in the list; NULL where a job has no parents.
e.place

-- name: place [sqlite]
e.key

-- name: run_start
-- {run_start j}: when the handler of job j began to run in its last attempt. Everything that says how long a job ran goes
-- by it.
-- The claim is earlier: a worker claims short jobs ahead. Hammerwork (Rust) writes claims alone, and what a job has of an
-- earlier attempt is before the claim.
CASE WHEN $1.run_started_at >= $1.started_at THEN $1.run_started_at ELSE $1.started_at END

-- name: run_start [original]
$1.started_at

-- name: archived_run_start
-- The same of job j of the archive, whose other times are whole seconds on MySQL.
CASE WHEN j.run_started_at <= COALESCE(j.completed_at, j.failed_at, j.timed_out_at) THEN {run_start j}
ELSE j.started_at END

-- name: starts
-- The columns of job c that {run_start c} needs.
c.started_at, c.run_started_at

-- name: starts [original]
c.started_at

-- name: run_seconds [postgresql]
-- How long job c ran, in seconds; NULL where a time is missing or infinite.
CASE WHEN isfinite(c.completed_at) AND isfinite({run_start c})
THEN EXTRACT(EPOCH FROM c.completed_at - {run_start c})::float8 END

-- name: run_seconds [mysql]
TIMESTAMPDIFF(MICROSECOND, {run_start c}, c.completed_at) / 1e6

-- name: run_seconds [sqlite]
(julianday(c.completed_at) - julianday({run_start c})) * 86400

-- name: never_recorded
-- Whether no worker recorded a spawn of job j, successful or not.
(SELECT 1 FROM hammerwork_spawn_operations o WHERE o.parent_id = j.id AND o.outcome <> 'repeated' LIMIT 1) IS NULL

-- name: never_recorded [original]
TRUE

-- name: spawned_early
-- Whether job j has spawned children before its end. Not EXISTS, which would become a join.
(SELECT 1 FROM hammerwork_spawned_children k WHERE k.parent_id = j.id LIMIT 1) IS NOT NULL

-- name: uncounted
-- Whether a worker has yet to count the jobs of callback w.
w.state = 'open' AND w.ended_at IS NULL

-- name: callback_columns
-- The columns of models.callbacks.Callback, in order.
w.id, w.subject, w.subject_id, w.event, w.job, w.state, w.check_at, w.ended_at, w.created_at, w.changed_at

-- name: contains [postgresql]
-- {contains column pattern}: whether a text fits a pattern of LIKE whose escape is !, in any letter case. PostgreSQL and
-- MySQL know the case of all letters, SQLite that of A to Z.
$1 ILIKE $2 ESCAPE '!'

-- name: contains [mysql]
-- Without the collation, which also ignores accents.
LOWER(CONVERT($1 USING utf8mb4)) COLLATE utf8mb4_bin LIKE LOWER(CONVERT($2 USING utf8mb4)) COLLATE utf8mb4_bin ESCAPE '!'

-- name: contains [sqlite]
$1 LIKE $2 ESCAPE '!'

-- name: only_in_archive
-- Whether archived job j has no row among the jobs: hammerwork (Rust) leaves it there.
NOT EXISTS (SELECT 1 FROM hammerwork_jobs o WHERE o.id = j.id)
