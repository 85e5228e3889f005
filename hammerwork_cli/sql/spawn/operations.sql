-- What was spawned: trees, operations, and what is still to come.
--
-- A child is a job whose depends_on holds its parent. Three ways lead to it:
--   by_first_parent  our index on depends_on's first member; the few joins (several parents) are asked for apart
--   by_gin           PostgreSQL before our migration: the GIN index on depends_on, 200 ids at a time
--   by_scan          MySQL and SQLite before our migration, PostgreSQL before 012: one pass over the table
-- Aliases: j is the job that is selected, or the parent; c is a child. {node}, {edges} and their like are in shared.sql.

-- name: operation_id [postgresql]
j.payload -> '_spawn_config' ->> 'operation_id'

-- name: operation_id [mysql]
JSON_UNQUOTE(JSON_EXTRACT(j.payload, '$._spawn_config.operation_id'))

-- name: operation_id [sqlite]
json_extract(j.payload, '$._spawn_config.operation_id')

-- name: is_operation
-- Whether the configuration says this operation id, to the letter.
{operation_id} = :operation

-- name: is_operation [mysql]
-- What is read of JSON is compared sign by sign, but not the spaces at its end.
CAST({operation_id} AS BINARY) = CAST(CONVERT(:operation USING utf8mb4) AS BINARY)

-- name: any_joins
-- Whether any job has several parents.
SELECT 1 FROM {joined_edges} AS c LIMIT 1

-- name: spelling
c.parent

-- name: spelling [mysql]
-- Compared without letter case there.
LOWER(c.parent)

-- name: later_parents
-- Parents that are not a job's first, as often as they are.
SELECT {spelling} FROM {joined_edges} AS c WHERE c.parent IS NOT NULL LIMIT :limit

-- name: any_archived
-- Whether the archive holds anything.
SELECT 1 FROM hammerwork_jobs_archive LIMIT 1

-- name: jobs
-- Jobs by id.
SELECT {node} FROM hammerwork_jobs j WHERE j.id {among}

-- name: archived_jobs
-- Archived jobs by id.
SELECT {archived_node} FROM hammerwork_jobs_archive j WHERE j.id {among}

-- name: urgent_first
-- What to keep when there is room for some only: failures, then what runs, then the oldest.
{urgency}, j.created_at, j.id

-- name: children
-- Children of some jobs.
SELECT {node} FROM hammerwork_jobs j
WHERE {is_child}
ORDER BY {urgent_first} -- when :limit
LIMIT :limit -- when :limit

-- name: all_children [by_gin]
-- The same from many lists of ids, without a limit; those with parents in several lists come several times.
SELECT {node} FROM (VALUES :lists) AS part (ids) JOIN hammerwork_jobs j ON j.depends_on && CAST(part.ids AS uuid[])

-- name: child_ids [mysql by_first_parent]
-- Ids of the jobs whose first parent is in a JSON list, out of the index alone: joined one by one, where a list of values
-- is looked up twice, once to guess how many rows there are.
SELECT j.id FROM JSON_TABLE(:parents, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
STRAIGHT_JOIN hammerwork_jobs j FORCE INDEX (idx_hammerwork_jobs_first_parent) ON {first_parent} = {parent_id}

-- name: joined_children [postgresql]
-- By the GIN index, which knows all parents; those whose first parent is asked for come once more.
SELECT {node} FROM hammerwork_jobs j
WHERE j.depends_on && CAST(:ids AS uuid[]) AND cardinality(j.depends_on) > 1
ORDER BY {urgent_first} -- when :limit
LIMIT :limit -- when :limit

-- name: joined_children
-- Children of some jobs of which none is the first parent.
SELECT {node} FROM hammerwork_jobs j
WHERE j.id IN (SELECT c.id FROM {joined_edges} AS c WHERE c.parent {among})
ORDER BY {urgent_first} -- when :limit
LIMIT :limit -- when :limit

-- name: urgency
CASE WHEN j.status IN (:failed) THEN 0 WHEN j.status IN (:running) THEN 1 ELSE 2 END

-- name: in_page
-- What a page of children may hold: after the last one seen, in the order of {urgent_first}.
AND {same j.queue_name :queue} -- when :queue
AND j.status IN (:statuses) -- when :statuses
AND {urgency} >= :cursor_urgency -- when :cursor_at
AND ({urgency} > :cursor_urgency OR j.created_at > :cursor_at OR (j.created_at = :cursor_at AND j.id > :cursor_id)) -- when :cursor_at

-- name: is_other_child [postgresql]
-- Whether j is a child of one of :ids, and none of these is its first parent.
j.depends_on && CAST(:ids AS uuid[]) AND cardinality(j.depends_on) > 1 AND ({first_parent} {among}) IS NOT TRUE

-- name: is_other_child
j.id IN (SELECT c.id FROM {joined_edges} AS c WHERE c.parent {among}) AND ({first_parent} {among}) IS NOT TRUE

-- name: child_page
-- Children of a job, a page at a time.
SELECT {urgency}, {node} FROM hammerwork_jobs j
WHERE {is_child}
{in_page}
ORDER BY {urgent_first}
LIMIT :limit

-- name: joined_child_page
-- The same of children of which it is not the first parent.
SELECT {urgency}, {node} FROM hammerwork_jobs j
WHERE {is_other_child}
{in_page}
ORDER BY {urgent_first}
LIMIT :limit

-- name: is_archived_child [by_first_parent]
{first_parent} {among}

-- name: is_archived_child
j.id IN (SELECT c.id FROM {archived_edges} AS c WHERE c.parent {among})

-- name: is_only_archived
NOT EXISTS (SELECT 1 FROM hammerwork_jobs m WHERE m.id = j.id)

-- name: archived_child_page
-- Those that are in the archive only.
SELECT {urgency}, {archived_node} FROM hammerwork_jobs_archive j
WHERE {is_archived_child} AND {is_only_archived}
{in_page}
ORDER BY {urgent_first}
LIMIT :limit

-- name: child_groups
-- Children of a job, counted by queue and status.
SELECT j.queue_name, j.status, COUNT(*) FROM hammerwork_jobs j WHERE {is_child} GROUP BY {by_name j.queue_name}, j.status

-- name: joined_child_groups
-- The same of children of which it is not the first parent.
SELECT j.queue_name, j.status, COUNT(*) FROM hammerwork_jobs j WHERE {is_other_child} GROUP BY {by_name j.queue_name}, j.status

-- name: archived_child_groups
-- The same of archived children.
SELECT j.queue_name, j.status, COUNT(*) FROM hammerwork_jobs_archive j
WHERE {is_archived_child} AND {is_only_archived}
GROUP BY {by_name j.queue_name}, j.status

-- name: archived_children
-- Archived children of some jobs.
SELECT {archived_node} FROM hammerwork_jobs_archive j
WHERE {is_archived_child}
ORDER BY {urgent_first} -- when :limit
LIMIT :limit -- when :limit

-- name: totals
-- Status, how many, when the first was created and the last ended.
j.status, COUNT(*), MIN(j.created_at), MAX(COALESCE(j.completed_at, j.failed_at, j.timed_out_at))

-- name: edge_totals
c.status, COUNT(*), MIN(c.created_at), MAX(COALESCE(c.completed_at, c.failed_at))

-- name: child_totals [by_first_parent]
-- The children of some jobs, counted by parent and status.
SELECT {first_parent}, {totals} FROM hammerwork_jobs j WHERE {first_parent} {among} GROUP BY {first_parent}, j.status

-- name: child_totals [by_gin]
SELECT e.parent, {totals} FROM hammerwork_jobs j CROSS JOIN LATERAL unnest(j.depends_on) AS e (parent)
WHERE j.depends_on && CAST(:ids AS uuid[]) AND e.parent {among} GROUP BY e.parent, j.status

-- name: child_totals [by_scan]
SELECT c.parent, {edge_totals} FROM {edges} AS c WHERE c.parent {among} GROUP BY c.parent, c.status

-- name: joined_child_totals [postgresql]
-- The children of some jobs of which none is the first parent, counted by parent and status.
SELECT e.parent, {totals} FROM hammerwork_jobs j CROSS JOIN LATERAL unnest(j.depends_on[2:]) AS e (parent)
WHERE j.depends_on && CAST(:ids AS uuid[]) AND e.parent {among} GROUP BY e.parent, j.status

-- name: joined_child_totals
SELECT c.parent, {edge_totals} FROM {joined_edges} AS c WHERE c.parent {among} GROUP BY c.parent, c.status

-- name: archived_child_totals [by_first_parent]
-- The children of some jobs that are in the archive only, counted by parent and status.
SELECT {first_parent}, {totals} FROM hammerwork_jobs_archive j
WHERE {first_parent} {among} AND {is_only_archived} GROUP BY {first_parent}, j.status

-- name: archived_child_totals
SELECT c.parent, {totals} FROM {archived_edges} AS c JOIN hammerwork_jobs_archive j ON j.id = c.id
WHERE c.parent {among} AND {is_only_archived} GROUP BY c.parent, j.status

-- name: failed_lately
-- In this order the index on statuses and the times of failures is read from its end.
AND j.failed_at IS NOT NULL
AND j.failed_at >= :since -- when :since
ORDER BY j.failed_at DESC LIMIT :limit

-- name: failed_at
-- Jobs with the time at which they failed: an index has both.
SELECT j.id, j.failed_at AS at FROM hammerwork_jobs j

-- name: timeless_failures
-- The original gives jobs that timed out no failed_at. In an order that the index on all jobs by their age does not have:
-- where there are none, that would be read from one end to the other.
SELECT j.id, j.created_at AS at FROM hammerwork_jobs j
WHERE j.status IN (:failed) AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
AND j.created_at >= :since -- when :since
ORDER BY j.status DESC, j.created_at DESC LIMIT :limit

-- name: latest_failures
-- Ids out of the indexes alone: each of the usual spellings from the end of an index, then the others.
SELECT y.id, y.at FROM ({failed_at} WHERE j.status = 'Failed' {failed_lately}) AS y
UNION SELECT y.id, y.at FROM ({failed_at} WHERE j.status = 'Dead' {failed_lately}) AS y
UNION SELECT y.id, y.at FROM ({failed_at} WHERE j.status = 'TimedOut' {failed_lately}) AS y
UNION SELECT y.id, y.at FROM ({failed_at} WHERE j.status IN (:oddly_failed) {failed_lately}) AS y
UNION SELECT y.id, y.at FROM ({timeless_failures}) AS y

-- name: newest_failed
-- The jobs that failed last, with their parents.
SELECT j.id, j.depends_on, COALESCE(j.failed_at, j.timed_out_at), CASE WHEN {has_config} THEN 1 ELSE 0 END
FROM (SELECT x.id, x.at FROM ({latest_failures}) AS x ORDER BY x.at DESC LIMIT :limit) AS w
CROSS JOIN hammerwork_jobs j WHERE j.id = w.id
ORDER BY w.at DESC, j.id

-- name: operations
-- Parents that spawned or had their chance to, newest first.
SELECT {node} FROM hammerwork_jobs j
WHERE {has_config}
AND j.created_at >= :since -- when :since
AND {same j.queue_name :queue} -- when :queue
AND j.status IN (:statuses) -- when :statuses
AND {is_operation} -- when :operation
AND j.created_at <= :cursor_at -- when :cursor_at
AND (j.created_at < :cursor_at OR j.id < :cursor_id) -- when :cursor_at
AND (j.status IN (:ended) OR {is_parent})
ORDER BY j.created_at DESC, j.id DESC
LIMIT :limit

-- name: recorded_operations
-- Parents whose spawning a worker recorded, newest first; they may do without configuration.
SELECT {node} FROM hammerwork_jobs j
WHERE j.id IN (SELECT o.parent_id FROM hammerwork_spawn_operations o
WHERE TRUE
AND o.ended_at >= :since -- when :since
AND ({same o.operation_id :operation} OR CAST(o.id AS CHAR(36)) = :operation) -- when :operation
)
AND j.created_at >= :since -- when :since
AND {same j.queue_name :queue} -- when :queue
AND j.status IN (:statuses) -- when :statuses
AND j.created_at <= :cursor_at -- when :cursor_at
AND (j.created_at < :cursor_at OR j.id < :cursor_id) -- when :cursor_at
ORDER BY j.created_at DESC, j.id DESC
LIMIT :limit

-- name: handler [postgresql]
j.payload -> '_spawn_config' ->> 'handler'

-- name: handler [mysql]
JSON_UNQUOTE(JSON_EXTRACT(j.payload, '$._spawn_config.handler'))

-- name: handler [sqlite]
json_extract(j.payload, '$._spawn_config.handler')

-- name: child_join [by_first_parent]
-- Parent j and child c.
hammerwork_jobs j JOIN hammerwork_jobs c ON {is_first_child}

-- name: child_join
hammerwork_jobs j JOIN {edges} AS c ON c.parent = j.id

-- name: archived_child_join [by_first_parent]
-- Parent j and archived child c.
hammerwork_jobs j JOIN hammerwork_jobs_archive c ON {is_first_child}

-- name: archived_child_join
hammerwork_jobs j JOIN {archived_edges} AS e ON e.parent = j.id JOIN hammerwork_jobs_archive c ON c.id = e.id

-- name: recorded_too
-- Parents whose spawning a worker recorded, and those with configuration.
JOIN (SELECT j.id FROM hammerwork_jobs j WHERE {has_config} AND j.created_at >= :since
UNION SELECT o.parent_id FROM hammerwork_spawn_operations o WHERE o.ended_at >= :since) AS w ON w.id = j.id

-- name: in_window
j.created_at >= :since
AND {has_config} -- when :configured
AND {same j.queue_name :queue} -- when :queue

-- name: parent_and_status
j.id, c.status

-- name: parent_and_status [sqlite]
-- The plus sign: else the whole table is read in the order of its keys, to have the groups in order.
+j.id, c.status

-- name: window_parents
-- Parents that spawned or are to, and were created in a window of time.
SELECT j.id, j.queue_name, {handler}, j.status, CASE WHEN j.created_at >= :recent THEN 1 ELSE 0 END, j.depends_on
FROM hammerwork_jobs j
{recorded_too} -- when :recorded
WHERE {in_window}

-- name: window_totals
-- Their children, counted by parent and status.
SELECT j.id, c.status, COUNT(*), MIN(c.created_at), MAX(COALESCE(c.completed_at, c.failed_at)) FROM {child_join}
{recorded_too} -- when :recorded
WHERE {in_window}
GROUP BY {parent_and_status}

-- name: window_joined_totals
-- The same of children of which they are not the first parent.
SELECT j.id, c.status, COUNT(*), MIN(c.created_at), MAX(COALESCE(c.completed_at, c.failed_at))
FROM hammerwork_jobs j JOIN {joined_edges} AS c ON c.parent = j.id
{recorded_too} -- when :recorded
WHERE {in_window}
GROUP BY {parent_and_status}

-- name: window_archived_totals
-- The same of children that are in the archive only.
SELECT j.id, c.status, COUNT(*), MIN(c.created_at), MAX(COALESCE(c.completed_at, c.failed_at))
FROM {archived_child_join}
{recorded_too} -- when :recorded
WHERE {in_window}
AND NOT EXISTS (SELECT 1 FROM hammerwork_jobs m WHERE m.id = c.id)
GROUP BY j.id, c.status

-- name: window_run_times
-- Median and 95th percentile (nearest rank) of the seconds that their completed children ran.
SELECT MIN(CASE WHEN r.place * 100 >= r.jobs * 50 THEN r.seconds END),
MIN(CASE WHEN r.place * 100 >= r.jobs * 95 THEN r.seconds END)
FROM (SELECT s.seconds, ROW_NUMBER() OVER (ORDER BY s.seconds) AS place, COUNT(*) OVER () AS jobs
FROM (SELECT {run_seconds} AS seconds FROM {child_join}
{recorded_too} -- when :recorded
WHERE {in_window}
AND c.status IN (:completed) AND c.started_at IS NOT NULL AND c.completed_at IS NOT NULL) s
WHERE s.seconds IS NOT NULL) r

-- name: pending_spawns
-- Jobs with spawn configuration and no children, that have not failed, newest first.
SELECT {node} FROM hammerwork_jobs j
WHERE {has_config}
AND {same j.queue_name :queue} -- when :queue
AND j.status NOT IN (:failed)
AND NOT {is_parent}
AND {never_recorded}
ORDER BY j.created_at DESC, j.id DESC
LIMIT :limit

-- name: waiting_jobs
-- Jobs that wait for others, newest first.
SELECT {node} FROM hammerwork_jobs j
WHERE j.dependency_status = 'waiting' AND j.status NOT IN (:ended)
AND {same j.queue_name :queue} -- when :queue
ORDER BY j.created_at DESC, j.id DESC
LIMIT :limit
