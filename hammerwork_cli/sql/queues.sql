-- Queues: their jobs and their pauses.

-- name: pauses [pause]
-- The pauses, as rows of {states}.
UNION ALL SELECT p.queue_name, NULL, NULL, 0, 0, NULL, p.paused_at, p.paused_by, p.reason
/* if :since */ , 0, NULL, NULL
/* if :priorities */ , NULL, 0
FROM hammerwork_queue_pause p
/* if :queue */ WHERE {same p.queue_name :queue}

-- name: pauses
-- Before 014, no queue can be paused.

-- name: of_queue
-- For lines that have a condition of their own; servers optimize it away.
(:queue IS NULL OR {same j.queue_name :queue})

-- name: run_times
-- Median and 95th percentile (nearest rank) of the run times of the jobs that completed in the window, in seconds.
SELECT MIN(CASE WHEN r.place * 100 >= r.jobs * 50 THEN r.seconds END) AS p50,
MIN(CASE WHEN r.place * 100 >= r.jobs * 95 THEN r.seconds END) AS p95
FROM (SELECT s.seconds, ROW_NUMBER() OVER (ORDER BY s.seconds) AS place, COUNT(*) OVER () AS jobs
FROM (SELECT {run_seconds} AS seconds FROM hammerwork_jobs c
WHERE c.completed_at >= :since AND c.status IN (:completed) AND c.started_at IS NOT NULL
AND (:queue IS NULL OR {same c.queue_name :queue})) s
WHERE s.seconds IS NOT NULL) r

-- name: any_job
-- Tells whether a queue has a job.
SELECT 1 FROM hammerwork_jobs j WHERE {same j.queue_name :queue} LIMIT 1

-- name: names
-- Lists the queues of the newest jobs.
SELECT DISTINCT s.queue_name FROM (SELECT j.queue_name FROM hammerwork_jobs j
ORDER BY j.created_at DESC LIMIT :sample) AS s

-- name: derived [mysql]
-- The jobs whose status is derived.
SELECT j.queue_name, j.status AS row_status, {status j} AS status, j.dependency_status, COUNT(*) AS jobs,
SUM(CASE WHEN j.scheduled_at <= :now THEN 1 ELSE 0 END) AS due, MIN(j.scheduled_at) AS due_since
/* if :priorities */ , j.priority
FROM hammerwork_jobs j WHERE j.status IN ('Pending', 'Failed') AND {status j} <> j.status
/* if :queue */ AND {same j.queue_name :queue}
GROUP BY
/* if :priorities */ j.priority,
{by_name j.queue_name}, j.status, {status j}, j.dependency_status

-- name: states
-- Counts jobs by queue, status and dependency status, and lists the pauses.
SELECT g.queue_name, g.status, g.dependency_status, g.jobs, g.due, g.due_since,
g.paused_at, g.paused_by, g.reason
/* if :since */ , g.ended, g.started_at, g.created_at
/* if :priorities */ , g.priority, g.of_priority, t.p50, t.p95
FROM (SELECT j.queue_name, {status j} AS status, j.dependency_status, COUNT(*) AS jobs,
SUM(CASE WHEN j.scheduled_at <= :now THEN 1 ELSE 0 END) AS due, MIN(j.scheduled_at) AS due_since,
NULL AS paused_at, NULL AS paused_by, NULL AS reason
/* if :since */ , SUM(CASE WHEN j.completed_at >= :since OR j.failed_at >= :since OR j.timed_out_at >= :since THEN 1 ELSE 0 END)
/* if :since */ AS ended, MIN(COALESCE(j.started_at, j.scheduled_at)) AS started_at, MIN(j.created_at) AS created_at
/* if :priorities */ , j.priority, COUNT(*) AS of_priority
FROM hammerwork_jobs j
/* if :queue */ WHERE {same j.queue_name :queue}
GROUP BY {by_name j.queue_name}, {status j}, j.dependency_status
/* if :priorities */ , j.priority
{pauses}
) g
/* if :priorities */ CROSS JOIN ({run_times}) t

-- name: states [mysql]
-- The figures of the window are rows of their own, each read from an index. That is 40 times faster than one pass,
-- which would look up every row out of order. The derived statuses are not in the index either: their jobs are counted
-- apart, and taken from the status that the rows hold.
SELECT g.queue_name, g.status, g.dependency_status, g.jobs, g.due, g.due_since,
g.paused_at, g.paused_by, g.reason
/* if :since */ , g.ended, g.started_at, g.created_at
/* if :priorities */ , g.priority, g.of_priority, t.p50, t.p95
FROM (SELECT j.queue_name, j.status, j.dependency_status, COUNT(*) AS jobs,
SUM(CASE WHEN j.scheduled_at <= :now THEN 1 ELSE 0 END) AS due, MIN(j.scheduled_at) AS due_since,
NULL AS paused_at, NULL AS paused_by, NULL AS reason
/* if :since */ , 0 AS ended, NULL AS started_at, NULL AS created_at
/* if :priorities */ , NULL AS priority, 0 AS of_priority
FROM hammerwork_jobs j
/* if :queue */ WHERE {same j.queue_name :queue}
GROUP BY {by_name j.queue_name}, j.status, j.dependency_status
UNION ALL SELECT d.queue_name, CASE WHEN s.sign > 0 THEN d.status ELSE d.row_status END, d.dependency_status,
s.sign * d.jobs, s.sign * d.due, CASE WHEN s.sign > 0 THEN d.due_since END, NULL, NULL, NULL
/* if :since */ , 0, NULL, NULL
/* if :priorities */ , d.priority, s.sign * d.jobs
FROM ({derived}) AS d CROSS JOIN (SELECT 1 AS sign UNION ALL SELECT -1) AS s
/* if :since */ UNION ALL SELECT j.queue_name, j.status, NULL, 0, 0, NULL, NULL, NULL, NULL, COUNT(*), NULL, NULL
/* if :priorities */ , NULL, 0
/* if :since */ FROM hammerwork_jobs j WHERE j.status IN (:completed) AND j.completed_at >= :since AND {of_queue}
/* if :since */ GROUP BY {by_name j.queue_name}, j.status
/* if :since */ UNION ALL SELECT j.queue_name, {status j}, NULL, 0, 0, NULL, NULL, NULL, NULL, COUNT(*), NULL, NULL
/* if :priorities */ , NULL, 0
/* if :since */ FROM hammerwork_jobs j WHERE j.status IN (:failed) AND j.failed_at >= :since AND {of_queue}
/* if :since */ GROUP BY {by_name j.queue_name}, {status j}
/* if :since */ UNION ALL SELECT j.queue_name, j.status, NULL, 0, 0, NULL, NULL, NULL, NULL, COUNT(*), NULL, NULL
/* if :priorities */ , NULL, 0
/* if :since */ FROM hammerwork_jobs j WHERE j.status IN (:failed) AND j.failed_at IS NULL AND j.timed_out_at >= :since
/* if :since */ AND {of_queue} GROUP BY {by_name j.queue_name}, j.status
/* if :since */ UNION ALL SELECT j.queue_name, j.status, NULL, 0, 0, NULL, NULL, NULL, NULL, 0,
/* if :since */ MIN(COALESCE(j.started_at, j.scheduled_at)), NULL
/* if :priorities */ , NULL, 0
/* if :since */ FROM hammerwork_jobs j WHERE j.status IN (:running) AND {of_queue} GROUP BY {by_name j.queue_name}, j.status
/* if :since */ UNION ALL SELECT j.queue_name, j.status, j.dependency_status, 0, 0, NULL, NULL, NULL, NULL, 0, NULL,
/* if :since */ MIN(j.created_at)
/* if :priorities */ , NULL, 0
/* if :since */ FROM hammerwork_jobs j WHERE j.dependency_status IN ('waiting', 'failed') AND j.status IN (:pending)
/* if :since */ AND {of_queue} GROUP BY {by_name j.queue_name}, j.status, j.dependency_status
/* if :priorities */ UNION ALL SELECT j.queue_name, j.status, NULL, 0, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL
/* if :priorities */ , j.priority, COUNT(*)
/* if :priorities */ FROM hammerwork_jobs j WHERE {of_queue} GROUP BY {by_name j.queue_name}, j.status, j.priority
{pauses}
) g
/* if :priorities */ CROSS JOIN ({run_times}) t

-- name: paused [pause]
-- Lists the paused queues by name.
SELECT p.queue_name, p.paused_at, p.paused_by, p.reason FROM hammerwork_queue_pause p
/* if :queue */ WHERE {same p.queue_name :queue}
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
-- Changes the reason for a pause.
UPDATE hammerwork_queue_pause SET reason = :reason WHERE {same queue_name :queue}

-- name: resume
-- Ends the pause of a queue.
DELETE FROM hammerwork_queue_pause WHERE {same queue_name :queue}
