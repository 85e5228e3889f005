-- Spawn operations: parents that spawned, their figures, and parents that will spawn.

-- name: operation_id [postgresql]
-- The operation id in the spawn configuration of job j.
j.payload -> '_spawn_config' ->> 'operation_id'

-- name: operation_id [mysql]
JSON_UNQUOTE(JSON_EXTRACT(j.payload, '$._spawn_config.operation_id'))

-- name: operation_id [sqlite]
json_extract(j.payload, '$._spawn_config.operation_id')

-- name: is_operation
-- Whether the spawn configuration of job j has one of these operation ids, to the letter.
{operation_id} IN (:operations)

-- name: is_operation [mysql]
-- Values from JSON are compared by characters, but without trailing spaces.
CAST({operation_id} AS BINARY) IN (:operations)

-- name: newest_first
-- The order of jobs j, the newest first.
j.created_at DESC, j.id DESC

-- name: newest_first [sqlite]
-- With the plus, no index has the whole order. Otherwise, without statistics, SQLite takes that of all jobs instead of
-- that of the jobs with a spawn configuration.
j.created_at DESC, +j.id DESC

-- name: list
-- Lists the parents that spawned or could have spawned, the newest first.
SELECT {node} FROM hammerwork_jobs j
WHERE {has_config}
/* if :since */ AND j.created_at >= :since
/* if :until */ AND j.created_at < :until
/* if :roots */ AND {is_root}
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :statuses */ AND j.status IN (:statuses)
/* if :derived */ AND {status j} IN (:derived)
/* if :operations */ AND {is_operation}
/* if :cursor_at */ AND j.created_at <= :cursor_at
/* if :cursor_at */ AND (j.created_at < :cursor_at OR j.id < :cursor_id)
AND (j.status IN (:ended) OR {has_children} {or_archived_children})
ORDER BY {newest_first}
LIMIT :limit

-- name: list_recorded
-- Lists the parents with a recorded spawn, the newest first. They may have no spawn configuration.
SELECT {node} FROM hammerwork_jobs j
WHERE j.id IN (SELECT o.parent_id FROM hammerwork_spawn_operations o
WHERE TRUE
/* if :since */ AND o.ended_at >= :since
/* if :operations */ AND ({one_of o.operation_id :operations} OR CAST(o.id AS CHAR(36)) IN (:operations))
)
/* if :since */ AND j.created_at >= :since
/* if :until */ AND j.created_at < :until
/* if :roots */ AND {is_root}
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :statuses */ AND j.status IN (:statuses)
/* if :derived */ AND {status j} IN (:derived)
/* if :cursor_at */ AND j.created_at <= :cursor_at
/* if :cursor_at */ AND (j.created_at < :cursor_at OR j.id < :cursor_id)
ORDER BY j.created_at DESC, j.id DESC
LIMIT :limit

-- name: list_early
-- Lists the parents that spawned children before their end, the newest first. They may have no spawn configuration and
-- no recorded spawn. The children come first: there are fewer of them than jobs.
SELECT {node} FROM (SELECT DISTINCT c.parent_id AS id FROM hammerwork_spawned_children c) AS w
CROSS JOIN hammerwork_jobs j WHERE j.id = w.id
/* if :since */ AND j.created_at >= :since
/* if :until */ AND j.created_at < :until
/* if :roots */ AND {is_root}
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :statuses */ AND j.status IN (:statuses)
/* if :derived */ AND {status j} IN (:derived)
/* if :cursor_at */ AND j.created_at <= :cursor_at
/* if :cursor_at */ AND (j.created_at < :cursor_at OR j.id < :cursor_id)
ORDER BY j.created_at DESC, j.id DESC
LIMIT :limit

-- name: handler [postgresql]
-- The handler in the spawn configuration of job j.
j.payload -> '_spawn_config' ->> 'handler'

-- name: handler [mysql]
JSON_UNQUOTE(JSON_EXTRACT(j.payload, '$._spawn_config.handler'))

-- name: handler [sqlite]
json_extract(j.payload, '$._spawn_config.handler')

-- name: child_join [current]
-- Parent j and child c.
hammerwork_jobs j JOIN hammerwork_jobs c ON {is_first_child}

-- name: child_join
hammerwork_jobs j JOIN {edges} AS c ON c.parent = j.id

-- name: with_children [current]
-- Parent j, with child c if it has children.
hammerwork_jobs j LEFT JOIN hammerwork_jobs c ON {is_first_child}

-- name: with_children
hammerwork_jobs j LEFT JOIN {edges} AS c ON c.parent = j.id

-- name: archived_child_join [current]
-- Parent j and archived child c.
hammerwork_jobs j JOIN hammerwork_jobs_archive c ON {is_first_child}

-- name: archived_child_join
hammerwork_jobs j JOIN {archived_edges} AS e ON e.parent = j.id JOIN hammerwork_jobs_archive c ON c.id = e.id

-- name: recorded
-- Limits parents j to those with a recorded spawn or early children.
JOIN (SELECT o.parent_id AS id FROM hammerwork_spawn_operations o WHERE o.ended_at >= :since
UNION SELECT k.parent_id FROM hammerwork_spawned_children k) AS w ON w.id = j.id

-- name: count_unconfigured
-- Counts the recorded spawns and early children whose parents are in the window and have no spawn configuration. It
-- counts, because EXISTS would make PostgreSQL probe an index parent by parent.
SELECT COUNT(*) FROM (SELECT o.parent_id AS id FROM hammerwork_spawn_operations o WHERE o.ended_at >= :since
UNION ALL SELECT k.parent_id FROM hammerwork_spawned_children k) AS w
WHERE NOT EXISTS (SELECT 1 FROM hammerwork_jobs j WHERE j.id = w.id AND j.created_at >= :since AND {may_have_config})
AND EXISTS (SELECT 1 FROM hammerwork_jobs j WHERE j.id = w.id AND j.created_at >= :since)

-- name: in_window
-- Whether parent j is in the window: with :configured one that has spawn configuration, with :unconfigured one of
-- {recorded} that has none.
j.created_at >= :since
/* if :configured */ AND {has_config}
/* if :unconfigured */ AND ({has_config}) IS NOT TRUE
/* if :queues */ AND {one_of j.queue_name :queues}

-- name: is_parent
-- Whether j is a parent in the window.
j.created_at >= :since
/* if :queues */ AND {one_of j.queue_name :queues}
AND ({has_config}
/* if :unconfigured */ OR NOT {never_recorded}
/* if :unconfigured */ OR {spawned_early}
)

-- name: by_parent
-- Groups children by their parent.
j.id

-- name: by_parent [sqlite]
-- Without the plus sign, SQLite reads the whole table in the order of its keys, to get the groups in order.
+j.id

-- name: stands_alone
-- Whether parent j needs a row of its own: the depth follows a parent that depends on jobs, and those among ids have
-- further children that other statements count.
NOT ({is_root})
/* if :all_alone */ OR TRUE
/* if :ids */ OR j.id {among}

-- name: total
-- The sum of counts.
SUM($1)

-- name: total [postgresql]
-- The cast keeps the driver from making a Decimal of each sum.
SUM($1)::bigint

-- name: total [mysql]
CAST(SUM($1) AS SIGNED)

-- name: figures
-- The figures of parents g; with :detailed, also the queue and the handler of a parent j that has its own row.
g.operations, g.recent, g.childless, g.children, g.largest, g.completed, g.ended, g.failed, g.cancelled, g.retrying
/* if :detailed */ , g.first_created, g.last_ended, j.queue_name, {handler}

-- name: sums
-- Adds up the counts of parents f.
f.alone, COUNT(CASE WHEN f.children > 0 THEN 1 END) AS operations,
COUNT(CASE WHEN (f.children > 0 OR f.alone IS NOT NULL) AND f.recent = 1 THEN 1 END) AS recent,
COUNT(CASE WHEN (f.children = 0 OR f.alone IS NOT NULL) AND f.done = 1 THEN 1 END) AS childless,
{total f.children} AS children, MAX(f.children) AS largest, {total f.completed} AS completed, {total f.ended} AS ended,
{total f.failed} AS failed, {total f.cancelled} AS cancelled, {total f.retrying} AS retrying
/* if :detailed */ , MIN(f.first_created) AS first_created, MAX(f.last_ended) AS last_ended

-- name: window
-- Counts the parents in the window that spawned or may spawn, and their children: those that stand alone in a row each,
-- all others in one row.
SELECT g.alone, j.depends_on, {figures}
FROM (SELECT {sums}
FROM (SELECT CASE WHEN
{stands_alone}
THEN j.id END AS alone,
CASE WHEN j.created_at >= :recent THEN 1 ELSE 0 END AS recent,
CASE WHEN j.status IN (:completed) THEN 1 ELSE 0 END AS done,
COUNT(c.id) AS children, COUNT(CASE WHEN c.status IN (:completed) THEN 1 END) AS completed,
COUNT(CASE WHEN c.status IN (:ended) THEN 1 END) AS ended,
COUNT(CASE WHEN c.status IN (:failed) AND {status c} <> 'Cancelled' THEN 1 END) AS failed,
COUNT(CASE WHEN {status c} = 'Cancelled' THEN 1 END) AS cancelled,
COUNT(CASE WHEN {status c} = 'Retrying' THEN 1 END) AS retrying
/* if :detailed */ , MIN(c.created_at) AS first_created, MAX(COALESCE(c.completed_at, c.failed_at)) AS last_ended
FROM {with_children}
/* if :unconfigured */ {recorded}
WHERE {in_window}
GROUP BY {by_parent}) AS f
GROUP BY f.alone) AS g
LEFT JOIN hammerwork_jobs j ON j.id = g.alone

-- name: window [postgresql current]
-- PostgreSQL before 16 hashes all children in a left join. So the first part reads the parents, with their dependencies,
-- and the second one reads children by an inner join that needs only an index of the parents. That index also has lists
-- that hold the name of the configuration; HAVING drops these, since the first part does not have them.
SELECT g.alone, g.depends_on, {figures}
FROM (SELECT MAX(f.depends_on) AS depends_on, {sums}
FROM (SELECT CASE WHEN MAX(c.alone) = 1 THEN c.parent END AS alone, MAX(c.depends_on) AS depends_on,
MAX(c.recent) AS recent, MAX(c.done) AS done,
COUNT(c.status) AS children, COUNT(CASE WHEN c.status IN (:completed) THEN 1 END) AS completed,
COUNT(CASE WHEN c.status IN (:ended) THEN 1 END) AS ended,
COUNT(CASE WHEN c.status IN (:failed) AND c.status <> 'Cancelled' THEN 1 END) AS failed,
COUNT(CASE WHEN c.status = 'Cancelled' THEN 1 END) AS cancelled,
COUNT(CASE WHEN c.status = 'Retrying' THEN 1 END) AS retrying
/* if :detailed */ , MIN(c.created_at) AS first_created, MAX(c.ended_at) AS last_ended
FROM (SELECT j.id AS parent, CASE WHEN
{stands_alone}
THEN 1 END AS alone,
j.depends_on, CASE WHEN j.created_at >= :recent THEN 1 ELSE 0 END AS recent,
CASE WHEN j.status IN (:completed) THEN 1 ELSE 0 END AS done, NULL AS status
/* if :detailed */ , NULL::timestamptz AS created_at, NULL::timestamptz AS ended_at
FROM hammerwork_jobs j
/* if :unconfigured */ {recorded}
WHERE {in_window}
UNION ALL
SELECT j.id, NULL, NULL, NULL, NULL, {status c}
/* if :detailed */ , c.created_at, COALESCE(c.completed_at, c.failed_at)
FROM {child_join}
/* if :unconfigured */ {recorded}
WHERE j.created_at >= :since
/* if :configured */ AND {may_have_config}
/* if :unconfigured */ AND ({has_config}) IS NOT TRUE
/* if :queues */ AND {one_of j.queue_name :queues}
) AS c
GROUP BY c.parent HAVING MAX(c.done) IS NOT NULL) AS f
GROUP BY f.alone) AS g
/* if :detailed */ LEFT JOIN hammerwork_jobs j ON j.id = g.alone

-- name: window_members
-- Lists the jobs among ids that were created in the window, and whether they have a spawn configuration.
SELECT j.id, CASE WHEN {has_config} THEN 1 ELSE 0 END FROM hammerwork_jobs j
WHERE j.id {among} AND j.created_at >= :since
/* if :queues */ AND {one_of j.queue_name :queues}

-- name: window_joined_totals
-- Counts the children of the parents in the window whose first parent is another job, by parent and status.
SELECT j.id, {status c}, COUNT(*), MIN(c.created_at), MAX(COALESCE(c.completed_at, c.failed_at))
FROM hammerwork_jobs j JOIN {joined_edges} AS c ON c.parent = j.id
/* if :unconfigured */ {recorded}
WHERE {in_window}
GROUP BY {by_parent}, {status c}

-- name: window_archived_totals
-- Counts the children of the parents in the window that are only in the archive, by parent and status.
SELECT j.id, {status c}, COUNT(*), MIN(c.created_at), MAX(COALESCE(c.completed_at, c.failed_at))
FROM {archived_child_join}
/* if :unconfigured */ {recorded}
WHERE {in_window}
AND NOT EXISTS (SELECT 1 FROM hammerwork_jobs m WHERE m.id = c.id)
GROUP BY j.id, {status c}

-- name: window_run_times
-- Computes the median and 95th percentile (nearest rank) of the seconds that completed children of the parents in the
-- window ran, and counts these children. Ids are random, so the children below one of them are a sample.
SELECT MIN(CASE WHEN r.place * 100 >= r.jobs * 50 THEN r.seconds END),
MIN(CASE WHEN r.place * 100 >= r.jobs * 95 THEN r.seconds END), COUNT(*)
FROM (SELECT s.seconds, ROW_NUMBER() OVER (ORDER BY s.seconds) AS place, COUNT(*) OVER () AS jobs
FROM (SELECT {run_seconds} AS seconds FROM {child_join}
WHERE {is_parent}
/* if :below */ AND c.id < :below
AND c.status IN (:completed) AND c.started_at IS NOT NULL AND c.completed_at IS NOT NULL) s
WHERE s.seconds IS NOT NULL) r

-- name: window_run_times [postgresql]
SELECT r.seconds[1], r.seconds[2], r.jobs
FROM (SELECT percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY {run_seconds}) AS seconds,
COUNT({run_seconds}) AS jobs FROM {child_join}
WHERE {is_parent}
/* if :below */ AND c.id < :below
AND c.status IN (:completed) AND c.started_at IS NOT NULL AND c.completed_at IS NOT NULL) r

-- name: pending
-- Lists the jobs with spawn configuration that have no children and have not failed, the newest first.
SELECT {node} FROM hammerwork_jobs j
WHERE {has_config}
/* if :queues */ AND {one_of j.queue_name :queues}
AND j.status NOT IN (:failed)
AND NOT ({has_children} {or_archived_children})
AND {never_recorded}
ORDER BY j.created_at DESC, j.id DESC
LIMIT :limit

-- name: waiting
-- Lists the jobs that wait for others, the newest first.
SELECT {node} FROM hammerwork_jobs j
WHERE j.dependency_status = 'waiting' AND j.status NOT IN (:ended)
/* if :queues */ AND {one_of j.queue_name :queues}
ORDER BY j.created_at DESC, j.id DESC
LIMIT :limit

-- name: requested
-- Lists the jobs with open spawn requests, the newest first.
SELECT r.job_id FROM hammerwork_spawn_requests r
WHERE r.state IN ('pending', 'running')
/* if :queues */ AND {one_of r.queue_name :queues}
ORDER BY r.requested_at DESC LIMIT :limit
