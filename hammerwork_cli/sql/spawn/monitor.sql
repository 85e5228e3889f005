-- What happens right now. Every part is read from one end of an index, and bounded: a look costs as much in a large table
-- as in a small one. Where an index is missing (before 010) the part is one pass over the table.

-- name: first_parent_id [sqlite]
-- As the database may spell it without our own columns.
lower(json_extract(j.depends_on, '$[0]'))

-- name: first_parent_id [postgresql]
j.depends_on[1]

-- name: first_parent_id [postgresql jsonb]
CASE WHEN j.depends_on ->> 0 ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN (j.depends_on ->> 0)::uuid END

-- name: first_parent_id [mysql]
CAST(JSON_UNQUOTE(JSON_EXTRACT(j.depends_on, '$[0]')) AS CHAR(36))

-- name: first_parent_id [mysql narrow]
CONVERT(JSON_UNQUOTE(JSON_EXTRACT(j.depends_on, '$[0]')) USING ascii)

-- name: first_parent_id [mysql indexed]
j.first_parent

-- name: first_parent_id [mysql indexed narrow]
j.first_parent

-- name: by_state
hammerwork_jobs j

-- name: by_state [mysql indexed]
-- MariaDB would intersect two other indexes, and sort: every job that runs, however many there are.
hammerwork_jobs j USE INDEX (idx_hammerwork_jobs_archival_candidates)

-- name: newest_first
-- The order of idx_hammerwork_jobs_archival_candidates, in which the first two are all empty.
j.completed_at DESC, j.failed_at DESC, j.created_at DESC

-- name: in_window
COUNT(*) AS jobs, COALESCE(SUM(CASE WHEN j.started_at >= :since AND j.started_at < :until THEN 1 ELSE 0 END), 0)
AS started, COALESCE(SUM(CASE WHEN j.created_at >= :since AND j.created_at < :until THEN 1 ELSE 0 END), 0) AS created

-- name: pending
-- Jobs that have not started: in the two usual spellings, which partial indexes know, and in the others.
SELECT 1 AS one FROM (SELECT 1 AS one FROM hammerwork_jobs j WHERE j.status IN ('Pending', 'Retrying')
/* if :queue */ AND {same j.queue_name :queue}
LIMIT :most_pending) AS x
UNION ALL SELECT 1 FROM (SELECT 1 AS one FROM hammerwork_jobs j WHERE j.status IN (:oddly_pending)
AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
LIMIT :most_pending) AS x

-- name: pending [mysql]
SELECT 1 AS one FROM (SELECT 1 AS one FROM hammerwork_jobs j WHERE j.status IN ('Pending', 'Retrying', :oddly_pending)
/* if :queue */ AND {same j.queue_name :queue}
LIMIT :most_pending) AS x

-- name: last_running
-- The last created of the jobs that run, of all queues: there is no index by queue everywhere.
SELECT {first_parent_id} AS parent, j.started_at, j.created_at,
CASE WHEN
/* if :queue */ NOT {same j.queue_name :queue} OR
FALSE THEN 0 ELSE 1 END AS meant FROM {by_state}
WHERE j.status = 'Running' AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
ORDER BY {newest_first} LIMIT :most_running

-- name: running
-- In one pass: MariaDB reads anew wherever the name of a WITH stands.
SELECT COUNT(*) AS anywhere, COALESCE(SUM(j.meant), 0) AS jobs,
COALESCE(SUM(CASE WHEN j.started_at >= :since AND j.started_at < :until THEN j.meant ELSE 0 END), 0) AS started,
COALESCE(SUM(CASE WHEN j.created_at >= :since AND j.created_at < :until THEN j.meant ELSE 0 END), 0) AS created
FROM last_running j

-- name: last_timed_out
-- The original gives these no failed_at, and there is no index on timed_out_at.
SELECT j.queue_name, j.id, j.timed_out_at, j.started_at, j.created_at FROM {by_state}
WHERE j.status = 'TimedOut' AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
ORDER BY {newest_first} LIMIT :most_running

-- name: timed_out
-- Jobs that timed out at the end of the window.
SELECT j.id, j.timed_out_at, j.started_at, j.created_at FROM last_timed_out j WHERE
/* if :queue */ {same j.queue_name :queue} AND
TRUE

-- name: fresh
-- Jobs that were enqueued in the window and have not started.
SELECT COUNT(*) AS jobs FROM hammerwork_jobs j
WHERE j.status IN ('Pending', 'Retrying') AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND j.created_at >= :since AND j.created_at < :until

-- name: completed
-- Jobs that completed lately: how many, in the window and before.
SELECT {in_window} FROM hammerwork_jobs j WHERE j.status IN (:completed) AND {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND j.completed_at >= :since AND j.completed_at < :until

-- name: failed
-- Jobs that failed lately: how many, in the window and before.
SELECT {in_window} FROM hammerwork_jobs j WHERE j.status IN (:failed)
/* if :queue */ AND {same j.queue_name :queue}
AND j.failed_at >= :since AND j.failed_at < :until

-- name: newly_failed
-- The latest jobs that failed.
SELECT j.id FROM hammerwork_jobs j WHERE j.status IN (:failed) AND j.failed_at >= :failures_since
/* if :queue */ AND {same j.queue_name :queue}
ORDER BY j.failed_at DESC LIMIT :most_failures

-- name: newly_timed_out
-- The latest jobs that timed out.
SELECT j.id FROM timed_out j WHERE j.timed_out_at >= :failures_since ORDER BY j.timed_out_at DESC LIMIT :most_failures

-- name: busy_parents
-- Parents of which children run, with how many.
SELECT j.parent, COUNT(*) AS running FROM last_running j WHERE j.meant = 1 AND j.parent IS NOT NULL
GROUP BY j.parent ORDER BY COUNT(*) DESC LIMIT :most_parents

-- name: figures
-- One row of figures (pending, running, running anywhere; enqueued, started, completed and failed in the window), repeated beside each of
-- the newest failures and of the parents whose children run.
WITH last_running AS ({last_running}),
last_timed_out AS ({last_timed_out}), timed_out AS ({timed_out})
SELECT p.jobs, r.jobs, r.anywhere, n.jobs + r.created + c.created + f.created + t.created,
r.started + c.started + f.started + t.started, c.jobs, f.jobs + t.jobs, l.kind, l.running, {node}
FROM (SELECT COUNT(*) AS jobs FROM ({pending}) AS x) AS p
CROSS JOIN ({fresh}) AS n
CROSS JOIN ({running}) AS r
CROSS JOIN ({completed}) AS c
CROSS JOIN ({failed}) AS f
CROSS JOIN (SELECT {in_window} FROM timed_out j WHERE j.timed_out_at >= :since AND j.timed_out_at < :until) AS t
LEFT JOIN (SELECT 'failure' AS kind, y.id, 0 AS running FROM ({newly_failed}) AS y
UNION ALL SELECT 'failure', y.id, 0 FROM ({newly_timed_out}) AS y
UNION ALL SELECT 'failure', j.id, 0 FROM hammerwork_jobs j WHERE j.id IN (:known_failures) AND j.status IN (:failed)
UNION ALL SELECT 'parent', y.parent, y.running FROM ({busy_parents}) AS y
UNION ALL SELECT 'parent', j.id, 0 FROM hammerwork_jobs j WHERE j.id IN (:known_parents)) AS l ON TRUE
LEFT JOIN hammerwork_jobs j ON j.id = l.id

-- name: may_have_config
{has_config}

-- name: may_have_config [postgresql]
-- Without the check of the payload's type the planner knows that the index has many of these, and stops after a few.
j.payload ? '_spawn_config'

-- name: newest_recorded
-- The parents that spawned last, as workers recorded it.
SELECT o.parent_id AS id FROM hammerwork_spawn_operations o ORDER BY o.ended_at DESC LIMIT :window

-- name: spawners
-- The newest jobs with spawn configuration; of a queue, those among them that are in it. In this order of joining.
SELECT {node} FROM (
SELECT j.id FROM hammerwork_jobs j WHERE {may_have_config} ORDER BY j.created_at DESC LIMIT :window
) AS w CROSS JOIN hammerwork_jobs j WHERE j.id = w.id
/* if :queue */ AND {same j.queue_name :queue}
ORDER BY j.created_at DESC, j.id LIMIT :limit

-- name: spawners [workers]
-- The same, and the jobs that spawned last.
SELECT {node} FROM (SELECT x.id FROM (
SELECT j.id FROM hammerwork_jobs j WHERE {may_have_config} ORDER BY j.created_at DESC LIMIT :window
) AS x UNION SELECT y.id FROM ({newest_recorded}) AS y) AS w
CROSS JOIN hammerwork_jobs j WHERE j.id = w.id
/* if :queue */ AND {same j.queue_name :queue}
ORDER BY j.created_at DESC, j.id LIMIT :limit

-- name: recorded
-- Which of some jobs have spawned.
SELECT DISTINCT o.parent_id FROM hammerwork_spawn_operations o WHERE o.parent_id IN (:ids)

-- name: parents_below
-- Those of the children of some jobs that have children themselves, with their parents. Not EXISTS: that would be joined.
SELECT j.id, {first_parent} FROM hammerwork_jobs j
WHERE {first_parent} {among} AND (SELECT 1 FROM hammerwork_jobs c WHERE {is_first_child} LIMIT 1) IS NOT NULL

-- name: level_totals
-- The children of some jobs, counted by parent and status as in spawns.child_totals, but no more than a limit of them.
SELECT x.parent, x.status, COUNT(*), MIN(x.created_at), MAX(x.ended_at)
FROM (SELECT {first_parent} AS parent, j.status, j.created_at,
COALESCE(j.completed_at, j.failed_at, j.timed_out_at) AS ended_at
FROM hammerwork_jobs j WHERE {first_parent} {among} LIMIT :limit) AS x
GROUP BY x.parent, x.status

-- name: any_open
-- Whether any job has not ended.
SELECT 1 FROM hammerwork_jobs j WHERE j.status IN (:open) AND {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
LIMIT 1
