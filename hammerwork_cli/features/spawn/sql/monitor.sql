-- The monitor: what happens now. Each part reads one end of an index and is bounded, so a refresh takes as long in a
-- large table as in a small one. Where an index is missing (before 010), the part is one pass over the table.

-- name: first_parent_id [sqlite]
-- The first parent of job j, also in a database without our columns.
lower(json_extract(j.depends_on, '$[0]'))

-- name: first_parent_id [postgresql]
j.depends_on[1]

-- name: first_parent_id [postgresql jsonb]
CASE WHEN j.depends_on ->> 0 ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN (j.depends_on ->> 0)::uuid END

-- name: first_parent_id [mysql original]
CAST(JSON_UNQUOTE(JSON_EXTRACT(j.depends_on, '$[0]')) AS CHAR(36))

-- name: first_parent_id [mysql narrow original]
CONVERT(JSON_UNQUOTE(JSON_EXTRACT(j.depends_on, '$[0]')) USING ascii)

-- name: first_parent_id [mysql]
j.first_parent

-- name: newest_first
-- The order of idx_hammerwork_jobs_archival_candidates, whose first two columns are empty here.
j.completed_at DESC, j.failed_at DESC, j.created_at DESC

-- name: in_window
-- {in_window end}: the columns of a count of jobs that have ended since :since: those that ended in the window, and those
-- that were started and created in it, even if they ended after it.
COALESCE(SUM(CASE WHEN $1 < :until THEN 1 ELSE 0 END), 0) AS jobs, COALESCE(SUM(CASE WHEN j.started_at >= :since AND j.started_at < :until THEN 1 ELSE 0 END), 0)
AS started, COALESCE(SUM(CASE WHEN j.created_at >= :since AND j.created_at < :until THEN 1 ELSE 0 END), 0) AS created

-- name: pending
-- Selects the jobs that have not started: in the two usual spellings, which partial indexes have, and in the others.
SELECT 1 AS one FROM (SELECT 1 AS one FROM hammerwork_jobs j WHERE j.status IN ('Pending', 'Retrying')
/* if :queues */ AND {one_of j.queue_name :queues}
LIMIT :most_pending) AS x
UNION ALL SELECT 1 FROM (SELECT 1 AS one FROM hammerwork_jobs j WHERE j.status IN (:oddly_pending)
AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
LIMIT :most_pending) AS x

-- name: pending [mysql]
SELECT 1 AS one FROM (SELECT 1 AS one FROM hammerwork_jobs j WHERE j.status IN ('Pending', 'Retrying', :oddly_pending)
/* if :queues */ AND {one_of j.queue_name :queues}
LIMIT :most_pending) AS x

-- name: last_running
-- Selects the newest running jobs of all queues, since an index by queue is not everywhere.
SELECT {first_parent_id} AS parent, j.started_at, j.created_at,
CASE WHEN
/* if :queues */ NOT {one_of j.queue_name :queues} OR
FALSE THEN 0 ELSE 1 END AS meant FROM {by_state}
WHERE j.status = 'Running' AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
ORDER BY {newest_first} LIMIT :most_running

-- name: running
-- Counts the running jobs in one pass: MariaDB evaluates a WITH anew wherever its name stands.
SELECT COUNT(*) AS anywhere, COALESCE(SUM(j.meant), 0) AS jobs,
COALESCE(SUM(CASE WHEN j.started_at >= :since AND j.started_at < :until THEN j.meant ELSE 0 END), 0) AS started,
COALESCE(SUM(CASE WHEN j.created_at >= :since AND j.created_at < :until THEN j.meant ELSE 0 END), 0) AS created
FROM last_running j

-- name: last_timed_out
-- Selects the newest jobs that timed out. hammerwork (Rust) writes them no failed_at, and timed_out_at has no index.
SELECT j.queue_name, j.id, j.timed_out_at, j.started_at, j.created_at FROM {by_state}
WHERE j.status = 'TimedOut' AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
ORDER BY {newest_first} LIMIT :most_running

-- name: timed_out
-- Selects the jobs of the queue among those that timed out.
SELECT j.id, j.timed_out_at, j.started_at, j.created_at FROM last_timed_out j WHERE
/* if :queues */ {one_of j.queue_name :queues} AND
TRUE

-- name: fresh
-- Counts the jobs that were enqueued in the window and have not started.
SELECT COUNT(*) AS jobs FROM hammerwork_jobs j
WHERE j.status IN ('Pending', 'Retrying') AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND j.created_at >= :since AND j.created_at < :until

-- name: completed
-- Counts the jobs that completed in the window.
SELECT {in_window j.completed_at} FROM hammerwork_jobs j WHERE j.status IN (:completed) AND {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND j.completed_at >= :since

-- name: failed
-- Counts the jobs that failed in the window.
SELECT {in_window j.failed_at} FROM hammerwork_jobs j WHERE j.status IN (:failed) AND {status j} <> 'Cancelled'
/* if :queues */ AND {one_of j.queue_name :queues}
AND j.failed_at >= :since

-- name: newly_failed
-- Selects the latest failed jobs.
SELECT j.id FROM hammerwork_jobs j
WHERE j.status IN (:failed) AND j.failed_at >= :failures_since AND {status j} <> 'Cancelled'
/* if :queues */ AND {one_of j.queue_name :queues}
ORDER BY j.failed_at DESC LIMIT :most_failures

-- name: newly_timed_out
-- Selects the latest jobs that timed out.
SELECT j.id FROM timed_out j WHERE j.timed_out_at >= :failures_since ORDER BY j.timed_out_at DESC LIMIT :most_failures

-- name: retrying
-- Selects the retrying jobs among these that are due first, with the number of all.
SELECT j.id, COUNT(*) OVER () AS jobs, ROW_NUMBER() OVER (ORDER BY j.scheduled_at, j.id) AS place FROM last_pending j WHERE j.retrying = 1
ORDER BY j.scheduled_at, j.id LIMIT :most_failures

-- name: busy_parents
-- Selects the parents of running jobs, with the number of these.
SELECT j.parent, COUNT(*) AS running FROM last_running j WHERE j.meant = 1 AND j.parent IS NOT NULL
GROUP BY j.parent ORDER BY COUNT(*) DESC LIMIT :most_parents

-- name: figures
-- Reads one row of figures (pending, running, running in all queues; enqueued, started, completed and failed in the
-- window), beside each of the newest failures, of the retrying jobs that are due first, and of the parents with running
-- children.
WITH last_running AS ({last_running}), last_pending AS ({last_pending}),
last_timed_out AS ({last_timed_out}), timed_out AS ({timed_out})
SELECT p.jobs, r.jobs, r.anywhere, n.jobs + r.created + c.created + f.created + t.created,
r.started + c.started + f.started + t.started, c.jobs, f.jobs + t.jobs, l.kind, l.running, l.place, {node}
FROM (SELECT COUNT(*) AS jobs FROM ({pending}) AS x) AS p
CROSS JOIN ({fresh}) AS n
CROSS JOIN ({running}) AS r
CROSS JOIN ({completed}) AS c
CROSS JOIN ({failed}) AS f
CROSS JOIN (SELECT {in_window j.timed_out_at} FROM timed_out j WHERE j.timed_out_at >= :since) AS t
LEFT JOIN (SELECT 'failure' AS kind, y.id, 0 AS running, 0 AS place FROM ({newly_failed}) AS y
UNION ALL SELECT 'failure', y.id, 0, 0 FROM ({newly_timed_out}) AS y
UNION ALL SELECT 'failure', j.id, 0, 0 FROM hammerwork_jobs j WHERE j.id IN (:known_failures) AND j.status IN (:failed)
UNION ALL SELECT 'retry', y.id, y.jobs, y.place FROM ({retrying}) AS y
UNION ALL SELECT 'parent', y.parent, y.running, 0 FROM ({busy_parents}) AS y
UNION ALL SELECT 'parent', j.id, 0, 0 FROM hammerwork_jobs j WHERE j.id IN (:known_parents)) AS l ON TRUE
LEFT JOIN hammerwork_jobs j ON j.id = l.id

-- name: newest_recorded
-- Selects the parents that spawned last, by the records of workers.
SELECT o.parent_id AS id FROM hammerwork_spawn_operations o ORDER BY o.ended_at DESC LIMIT :window

-- name: early_parents
-- Selects those of the newest and of the running jobs that have spawned children before their end. The table of these
-- children has no index of times.
SELECT j.id FROM (SELECT j.id FROM hammerwork_jobs j ORDER BY j.created_at DESC LIMIT :window) AS j
WHERE {spawned_early}
UNION SELECT j.id FROM (SELECT j.id FROM {by_state}
WHERE j.status = 'Running' AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
ORDER BY {newest_first} LIMIT :most_running) AS j WHERE {spawned_early}

-- name: spawners
-- Reads the newest jobs with spawn configuration, or those of them that are in a queue, and the parents that spawned last,
-- at their ends or before. The order of the joins is fixed.
SELECT {node} FROM (SELECT x.id FROM (
SELECT j.id FROM hammerwork_jobs j WHERE {may_have_config} ORDER BY j.created_at DESC LIMIT :window
) AS x UNION SELECT y.id FROM ({newest_recorded}) AS y UNION SELECT z.id FROM ({early_parents}) AS z) AS w
CROSS JOIN hammerwork_jobs j WHERE j.id = w.id
/* if :queues */ AND {one_of j.queue_name :queues}
ORDER BY j.created_at DESC, j.id LIMIT :limit

-- name: spawners [original]
SELECT {node} FROM (
SELECT j.id FROM hammerwork_jobs j WHERE {may_have_config} ORDER BY j.created_at DESC LIMIT :window
) AS w CROSS JOIN hammerwork_jobs j WHERE j.id = w.id
/* if :queues */ AND {one_of j.queue_name :queues}
ORDER BY j.created_at DESC, j.id LIMIT :limit

-- name: recorded
-- Lists those of some jobs that have spawned, at their ends or before.
SELECT o.parent_id FROM hammerwork_spawn_operations o WHERE o.parent_id IN (:ids)
UNION SELECT c.parent_id FROM hammerwork_spawned_children c WHERE c.parent_id IN (:ids)

-- name: parents_below
-- Lists the children of some jobs that have children themselves, with their parents. Not EXISTS, which would become a
-- join.
SELECT j.id, {first_parent} FROM hammerwork_jobs j
WHERE {first_parent} {among} AND (SELECT 1 FROM hammerwork_jobs c WHERE {is_first_child} LIMIT 1) IS NOT NULL

-- name: level_totals
-- Counts the children of some jobs by parent and status as graph.relatives.child_totals does, up to a limit.
SELECT x.parent, x.status, COUNT(*), MIN(x.created_at), MAX(x.ended_at)
FROM (SELECT {first_parent} AS parent, {status j} AS status, j.created_at,
COALESCE(j.completed_at, j.failed_at, j.timed_out_at) AS ended_at
FROM hammerwork_jobs j WHERE {first_parent} {among} LIMIT :limit) AS x
GROUP BY x.parent, x.status

-- name: any_open
-- Tells whether any job has not ended.
SELECT 1 FROM hammerwork_jobs j WHERE j.status IN (:open) AND {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
LIMIT 1
