-- Queues: their jobs and their pauses.

-- name: pauses [pause]
-- The pauses, as rows of {states}.
UNION ALL SELECT p.queue_name, NULL, NULL, 0, 0, NULL, p.paused_at, p.paused_by, p.reason
/* if :ages */ , NULL, NULL
/* if :priorities */ , NULL, 0
FROM hammerwork_queue_pause p
/* if :queues */ WHERE {one_of p.queue_name :queues} OR p.queue_name = '*'

-- name: pauses
-- Before 014, no queue can be paused.

-- name: of_queue
-- For lines that have a condition of their own; servers optimize it away.
(:every OR {one_of j.queue_name :queues})

-- name: run_times
-- Median and 95th percentile (nearest rank) of the run times of the jobs that completed in the window, in seconds.
SELECT MIN(CASE WHEN r.place * 100 >= r.jobs * 50 THEN r.seconds END) AS p50,
MIN(CASE WHEN r.place * 100 >= r.jobs * 95 THEN r.seconds END) AS p95
FROM (SELECT s.seconds, ROW_NUMBER() OVER (ORDER BY s.seconds) AS place, COUNT(*) OVER () AS jobs
FROM (SELECT {run_seconds} AS seconds FROM hammerwork_jobs c
WHERE c.completed_at >= :since AND c.status IN (:completed) AND c.started_at IS NOT NULL
AND (:every OR {one_of c.queue_name :queues})) s
WHERE s.seconds IS NOT NULL) r

-- name: any_job
-- Tells whether a queue has a job.
SELECT 1 FROM hammerwork_jobs j WHERE {same j.queue_name :queue} LIMIT 1

-- name: names
-- Lists the queues of the newest jobs.
SELECT DISTINCT s.queue_name FROM (SELECT j.queue_name FROM hammerwork_jobs j
ORDER BY j.created_at DESC LIMIT :sample) AS s

-- name: due
-- How many of some jobs are due, and since when the first has been.
SUM(CASE WHEN j.scheduled_at <= :now AND {enabled} THEN 1 ELSE 0 END) AS due,
MIN(CASE WHEN {enabled} THEN j.scheduled_at END) AS due_since

-- name: held [mysql]
-- Counts the due jobs whose schedule is disabled.
SELECT j.queue_name, j.status, j.dependency_status, COUNT(*) AS jobs FROM hammerwork_jobs j
WHERE NOT {enabled} AND j.cron_schedule IS NOT NULL AND j.status IN (:pending) AND j.scheduled_at <= :now
GROUP BY {by_name j.queue_name}, j.status, j.dependency_status

-- name: derived [mysql]
-- The jobs whose status is derived.
SELECT j.queue_name, j.status AS row_status, {status j} AS status, j.dependency_status, COUNT(*) AS jobs, {due}
/* if :priorities */ , j.priority
FROM hammerwork_jobs j WHERE j.status IN ('Pending', 'Failed') AND {status j} <> j.status
/* if :queues */ AND {one_of j.queue_name :queues}
GROUP BY
/* if :priorities */ j.priority,
{by_name j.queue_name}, j.status, {status j}, j.dependency_status

-- name: by_completion
-- Jobs j, to be read by the time at which they completed.
hammerwork_jobs j

-- name: by_completion [mysql current]
-- Without the hint MariaDB would rather read the whole table than the rows of an hour, out of order.
hammerwork_jobs j FORCE INDEX (idx_hammerwork_jobs_archival_completed)

-- name: completed
-- Counts the jobs that completed lately by queue, with the first end, and the last one by a Rust worker. The first part
-- is in the words of the partial index; the second has misspelt statuses, which MySQL may take for the right one. With a
-- limit, it reads the newest.
SELECT x.queue_name, COUNT(*), MIN(x.completed_at), MAX(CASE WHEN x.by_rust = 1 THEN x.completed_at END) FROM (
SELECT a.queue_name, a.completed_at, a.by_rust FROM (SELECT j.queue_name, j.completed_at, {by_rust} AS by_rust
FROM {by_completion} WHERE j.status = 'Completed' AND {unarchived} AND j.completed_at >= :since
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :limit */ ORDER BY j.completed_at DESC LIMIT :limit
) AS a
UNION ALL SELECT b.queue_name, b.completed_at, b.by_rust FROM (SELECT j.queue_name, j.completed_at, {by_rust} AS by_rust
FROM {by_completion} WHERE j.status IN (:oddly_completed) AND j.status <> 'Completed' AND {unarchived} AND j.completed_at >= :since
/* if :queues */ AND {one_of j.queue_name :queues}
) AS b) AS x
GROUP BY {by_name x.queue_name}

-- name: timed_out
-- Selects the newest jobs that timed out. hammerwork (Rust) writes them no failed_at, and timed_out_at has no index.
SELECT j.queue_name, j.timed_out_at AS ended_at FROM {by_state}
WHERE j.status = 'TimedOut' AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
ORDER BY j.completed_at DESC, j.failed_at DESC, j.created_at DESC LIMIT :most_timed_out

-- name: failed
-- Counts the jobs that failed lately by queue: all, and those since a later time.
SELECT x.queue_name, COUNT(*), SUM(CASE WHEN x.ended_at >= :recently THEN 1 ELSE 0 END) FROM (
SELECT a.queue_name, a.ended_at FROM (SELECT j.queue_name, j.failed_at AS ended_at FROM hammerwork_jobs j
WHERE j.status IN (:failed) AND j.failed_at >= :since AND {status j} <> 'Cancelled'
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :limit */ LIMIT :limit
) AS a
UNION ALL SELECT b.queue_name, b.ended_at FROM ({timed_out}) AS b WHERE b.ended_at >= :since) AS x
GROUP BY {by_name x.queue_name}

-- name: open
-- Counts the open jobs, up to a limit, by queue, status and dependency status, and lists the pauses.
SELECT j.queue_name, j.status, j.dependency_status, COUNT(*), {due},
NULL AS paused_at, NULL AS paused_by, NULL AS reason
FROM (SELECT j.queue_name, j.status, j.dependency_status, j.scheduled_at, j.recurring, j.cron_schedule
FROM hammerwork_jobs j WHERE j.status IN (:open)
/* if :queues */ AND {one_of j.queue_name :queues}
LIMIT :limit) AS j
GROUP BY {by_name j.queue_name}, j.status, j.dependency_status
{pauses}

-- name: states
-- Counts jobs by queue, status and dependency status, and lists the pauses.
SELECT g.queue_name, g.status, g.dependency_status, g.jobs, g.due, g.due_since,
g.paused_at, g.paused_by, g.reason
/* if :ages */ , g.started_at, g.created_at
/* if :priorities */ , g.priority, g.of_priority, t.p50, t.p95
FROM (SELECT j.queue_name, {status j} AS status, j.dependency_status, COUNT(*) AS jobs, {due},
NULL AS paused_at, NULL AS paused_by, NULL AS reason
/* if :ages */ , MIN(COALESCE(j.started_at, j.scheduled_at)) AS started_at, MIN(j.created_at) AS created_at
/* if :priorities */ , j.priority, COUNT(*) AS of_priority
FROM hammerwork_jobs j
/* if :queues */ WHERE {one_of j.queue_name :queues}
GROUP BY {by_name j.queue_name}, {status j}, j.dependency_status
/* if :priorities */ , j.priority
{pauses}
) g
/* if :priorities */ CROSS JOIN ({run_times}) t

-- name: states [mysql]
-- The ages are rows of their own, each read from an index. That is 40 times faster than one pass, which would look up
-- every row out of order. The derived statuses are not in the index either: their jobs are counted apart, and taken from
-- the status that the rows hold. Neither is whether a schedule is disabled, so {held} counts those few jobs.
SELECT g.queue_name, g.status, g.dependency_status, g.jobs, g.due, g.due_since,
g.paused_at, g.paused_by, g.reason
/* if :ages */ , g.started_at, g.created_at
/* if :priorities */ , g.priority, g.of_priority, t.p50, t.p95
FROM (SELECT a.queue_name, a.status, a.dependency_status, a.jobs, a.due - COALESCE(h.jobs, 0) AS due,
CASE WHEN h.jobs IS NULL THEN a.due_since ELSE (SELECT j.scheduled_at FROM hammerwork_jobs j
WHERE {same j.queue_name a.queue_name} AND j.status = a.status AND j.dependency_status <=> a.dependency_status
AND {enabled} ORDER BY j.scheduled_at LIMIT 1) END AS due_since,
NULL AS paused_at, NULL AS paused_by, NULL AS reason
/* if :ages */ , NULL AS started_at, NULL AS created_at
/* if :priorities */ , NULL AS priority, 0 AS of_priority
FROM (SELECT j.queue_name, j.status, j.dependency_status, COUNT(*) AS jobs,
SUM(CASE WHEN j.scheduled_at <= :now THEN 1 ELSE 0 END) AS due, MIN(j.scheduled_at) AS due_since
FROM hammerwork_jobs j
/* if :queues */ WHERE {one_of j.queue_name :queues}
GROUP BY {by_name j.queue_name}, j.status, j.dependency_status) AS a
LEFT JOIN ({held}) AS h ON {same h.queue_name a.queue_name} AND h.status = a.status
AND h.dependency_status <=> a.dependency_status
UNION ALL SELECT d.queue_name, CASE WHEN s.sign > 0 THEN d.status ELSE d.row_status END, d.dependency_status,
s.sign * d.jobs, s.sign * d.due, CASE WHEN s.sign > 0 THEN d.due_since END, NULL, NULL, NULL
/* if :ages */ , NULL, NULL
/* if :priorities */ , d.priority, s.sign * d.jobs
FROM ({derived}) AS d CROSS JOIN (SELECT 1 AS sign UNION ALL SELECT -1) AS s
/* if :ages */ UNION ALL SELECT j.queue_name, j.status, NULL, 0, 0, NULL, NULL, NULL, NULL,
/* if :ages */ MIN(COALESCE(j.started_at, j.scheduled_at)), NULL
/* if :priorities */ , NULL, 0
/* if :ages */ FROM hammerwork_jobs j WHERE j.status IN (:running) AND {of_queue} GROUP BY {by_name j.queue_name}, j.status
/* if :ages */ UNION ALL SELECT j.queue_name, j.status, j.dependency_status, 0, 0, NULL, NULL, NULL, NULL, NULL,
/* if :ages */ MIN(j.created_at)
/* if :priorities */ , NULL, 0
/* if :ages */ FROM hammerwork_jobs j WHERE j.dependency_status IN ('waiting', 'failed') AND j.status IN (:pending)
/* if :ages */ AND {of_queue} GROUP BY {by_name j.queue_name}, j.status, j.dependency_status
/* if :priorities */ UNION ALL SELECT j.queue_name, j.status, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL
/* if :priorities */ , j.priority, COUNT(*)
/* if :priorities */ FROM hammerwork_jobs j WHERE {of_queue} GROUP BY {by_name j.queue_name}, j.status, j.priority
{pauses}
) g
/* if :priorities */ CROSS JOIN ({run_times}) t

-- name: paused [pause]
-- Lists the paused queues by name.
SELECT p.queue_name, p.paused_at, p.paused_by, p.reason FROM hammerwork_queue_pause p
/* if :queues */ WHERE {one_of p.queue_name :queues}
ORDER BY p.queue_name

-- name: pause [mysql]
-- Pauses a queue, unless it is paused.
INSERT INTO hammerwork_queue_pause (queue_name, paused_at, paused_by, reason, created_at, updated_at)
VALUES (:queue, :now, :by, :reason, :now, :now)
ON DUPLICATE KEY UPDATE queue_name = hammerwork_queue_pause.queue_name

-- name: pause
INSERT INTO hammerwork_queue_pause (queue_name, paused_at, paused_by, reason, created_at, updated_at)
VALUES (:queue, :now, :by, :reason, :now, :now)
ON CONFLICT (queue_name) DO NOTHING

-- name: give_reason
-- Changes the reason for pauses.
UPDATE hammerwork_queue_pause SET reason = :reason WHERE {one_of queue_name :queues}

-- name: pause_many [mysql]
-- Pauses queues, except those that are paused.
INSERT INTO hammerwork_queue_pause (queue_name, paused_at, paused_by, reason, created_at, updated_at)
VALUES :rows
ON DUPLICATE KEY UPDATE queue_name = hammerwork_queue_pause.queue_name

-- name: pause_many
INSERT INTO hammerwork_queue_pause (queue_name, paused_at, paused_by, reason, created_at, updated_at)
VALUES :rows
ON CONFLICT (queue_name) DO NOTHING

-- name: resume
-- Ends the pauses of queues.
DELETE FROM hammerwork_queue_pause WHERE {one_of queue_name :queues}
