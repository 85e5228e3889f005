-- Health: what is wrong now. Each statement reads one end of an index and is bounded, so that it takes as long in a
-- large table as in a small one. The indexes on queues and dependency statuses are those of 007, which every database
-- has; where a later index is missing (before 010), a statement is one pass over the table.

-- name: takes_writes [postgresql]
-- Tells whether the server takes writes.
SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'

-- name: takes_writes [mysql]
-- As text, since newer servers have further words than OFF.
SELECT CAST(@@GLOBAL.read_only AS CHAR) IN ('0', 'OFF') AND CAST(@@GLOBAL.innodb_read_only AS CHAR) IN ('0', 'OFF')

-- name: queues_with_ready_jobs
-- Lists the queues that have ready jobs, due or not: the first name, then the next one, and so on.
WITH RECURSIVE names (name) AS (
SELECT (SELECT MIN(j.queue_name) FROM hammerwork_jobs j WHERE {is_ready})
UNION ALL SELECT (SELECT MIN(j.queue_name) FROM hammerwork_jobs j WHERE {is_ready} AND j.queue_name > n.name)
FROM names n WHERE n.name IS NOT NULL)
SELECT n.name FROM names n WHERE n.name IS NOT NULL LIMIT :limit

-- name: queues_with_ready_jobs [mysql]
-- All queues: the server reads one entry of the index for each name.
SELECT DISTINCT j.queue_name FROM hammerwork_jobs j LIMIT :limit

-- name: ready
-- Counts the due jobs of a queue up to a limit, with the time since which the first has been due.
SELECT COUNT(*), MIN(x.scheduled_at) FROM (
SELECT a.scheduled_at FROM (SELECT j.scheduled_at FROM hammerwork_jobs j
WHERE {same j.queue_name :queue} AND {is_ready} AND j.dependency_status = 'none' AND j.scheduled_at <= :now
ORDER BY j.scheduled_at LIMIT :limit) AS a
UNION ALL
SELECT b.scheduled_at FROM (SELECT j.scheduled_at FROM hammerwork_jobs j
WHERE {same j.queue_name :queue} AND {is_ready} AND j.dependency_status = 'satisfied' AND j.scheduled_at <= :now
ORDER BY j.scheduled_at LIMIT :limit) AS b) AS x

-- name: waiting
-- Lists the queues of the jobs that wait for others although they have been due for long, with the first due time.
-- Beside many ready jobs that have been due for longer, it finds none.
SELECT x.queue_name, MIN(x.scheduled_at) FROM (SELECT j.queue_name, j.dependency_status, j.scheduled_at
FROM hammerwork_jobs j WHERE j.status = 'Pending' ORDER BY j.scheduled_at LIMIT :limit) AS x
WHERE x.dependency_status IN ('waiting', 'failed') GROUP BY {by_name x.queue_name}

-- name: waiting [mysql]
-- Reads one entry of the index for each queue, of names that the collation takes for the same.
SELECT n.queue_name, (SELECT MIN(j.scheduled_at) FROM hammerwork_jobs j
WHERE j.queue_name = n.queue_name AND j.status = 'Pending' AND j.dependency_status = 'waiting')
FROM (SELECT DISTINCT j.queue_name FROM hammerwork_jobs j LIMIT :limit) AS n

-- name: has_lost_worker
-- 1 if a worker of ours claimed the running job j that is not alive any more, else 0. Rust workers do not register.
-- A worker of hammerwork (Rust) that keeps leases is alive until its lease is over.
CASE WHEN {leased_by_rust} THEN CASE WHEN j.lease_expires_at < :now THEN 1 ELSE 0 END
WHEN j.claimed_by IS NOT NULL AND {still_claimed} AND (SELECT 1 FROM hammerwork_workers w
WHERE w.id = j.claimed_by AND w.ended_at IS NULL AND {silent_for} <= w.lease_seconds LIMIT 1) IS NULL THEN 1 ELSE 0 END

-- name: has_lost_worker [original]
0

-- name: has_lost_worker [leases original]
CASE WHEN {leased_by_rust} AND j.lease_expires_at < :now THEN 1 ELSE 0 END

-- name: unclaimed
-- 1 if nobody can tell whether the worker of the running job j is alive: a Rust worker without leases.
{by_rust}

-- name: unclaimed [leases]
CASE WHEN {leased_by_rust} THEN 0 ELSE {by_rust} END

-- name: running
-- Counts the running jobs by queue, with the first start, the first and last one of which nobody knows whether its worker is
-- alive, and the last one by a Rust worker; also those whose worker is not alive, with the first start. Of very many, it
-- reads the oldest.
SELECT x.queue_name, COUNT(*), MIN(x.started),
MIN(CASE WHEN x.unclaimed = 1 THEN x.started END), MAX(CASE WHEN x.unclaimed = 1 THEN x.started END),
MAX(CASE WHEN x.by_rust = 1 THEN x.started END), SUM(x.lost), MIN(CASE WHEN x.lost = 1 THEN x.started END)
FROM (SELECT j.queue_name, COALESCE(j.started_at, j.created_at) AS started, {has_lost_worker} AS lost,
{unclaimed} AS unclaimed, {by_rust} AS by_rust FROM {by_state}
WHERE j.status = 'Running' AND j.completed_at IS NULL AND j.failed_at IS NULL AND {unarchived}
ORDER BY j.completed_at, j.failed_at, j.created_at LIMIT :limit) AS x
GROUP BY {by_name x.queue_name}

-- name: claims
-- Counts the running jobs of some workers, with the last claim of each.
SELECT j.claimed_by, COUNT(*), MAX(j.started_at) FROM hammerwork_jobs j
WHERE j.status = 'Running' AND j.claimed_by IN (:workers) AND {still_claimed} GROUP BY j.claimed_by

-- name: claims [mysql]
SELECT j.claimed_by, COUNT(*), MAX(j.started_at) FROM {by_state}
WHERE j.status = 'Running' AND j.completed_at IS NULL AND j.failed_at IS NULL AND j.claimed_by IN (:workers)
AND {still_claimed} GROUP BY j.claimed_by

-- name: enabled_schedules
-- Tells whether a schedule is enabled.
SELECT 1 FROM hammerwork_schedules s WHERE s.enabled LIMIT 1

-- name: open_callbacks
-- Tells whether a worker has yet to count the jobs of a callback.
SELECT 1 FROM hammerwork_watches w WHERE {uncounted} LIMIT 1

-- name: recurs
-- Whether job j recurs, in the words of the partial index.
j.recurring = TRUE

-- name: recurs [sqlite]
j.recurring = 1

-- name: overdue
-- Lists the recurring jobs that should have started before a given time, the latest first.
SELECT j.id, j.next_run_at FROM hammerwork_jobs j
WHERE {recurs} AND j.next_run_at < :before AND j.scheduled_at < :before AND j.status IN (:pending)
ORDER BY j.next_run_at LIMIT :limit

-- name: retrying
-- Counts the retrying jobs by queue, among the pending jobs that are due last.
SELECT x.queue_name, COUNT(*) FROM ({last_pending}) AS x WHERE x.retrying = 1 GROUP BY {by_name x.queue_name}

-- name: retention
-- Lists the queues whose policy of retention failed, or was not carried out since a time.
SELECT p.queue_name FROM hammerwork_retention p
WHERE p.enabled AND (p.last_error IS NOT NULL OR COALESCE(p.last_run_at, p.updated_at) < :before)
ORDER BY p.queue_name

-- name: policies_ahead
-- Lists the queues whose policy a clock that was ahead has set or carried out.
SELECT p.queue_name FROM hammerwork_retention p WHERE p.updated_at > :latest OR p.last_run_at > :latest
ORDER BY p.queue_name
