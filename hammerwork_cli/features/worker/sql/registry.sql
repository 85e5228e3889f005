-- Workers: one row each, with heartbeats by the server's clock.

-- name: register
-- Registers a worker that starts.
INSERT INTO hammerwork_workers (id, name, host, pid, version, queues, handlers, concurrency, lease_seconds, state,
started_at, heartbeat_at, beats)
VALUES (:id, :name, :host, :pid, :version, :queues, :handlers, :concurrency, :lease, 'running', {server_now},
{server_now}, 1)

-- name: figures
-- The columns that a worker reports with each heartbeat.
heartbeat_at = {server_now}, beats = beats + 1, state = :state, running = :running, completed = :completed,
failed = :failed, memory_bytes = :memory, main_stalled_seconds = :main_stalled,
finisher_stalled_seconds = :finisher_stalled, held_slots = :held, queue_counts = :queue_counts,
job_progress = :job_progress, clock_ahead_seconds = :clock_ahead

-- name: heartbeat
-- Records a heartbeat with the figures of a worker.
UPDATE hammerwork_workers SET {figures} WHERE id = :id AND ended_at IS NULL

-- name: revive
-- Records the heartbeat of a worker that was declared lost.
UPDATE hammerwork_workers SET {figures}, ended_at = NULL WHERE id = :id

-- name: asked
-- Reads the request to a worker, with the grace of it, the server's clock, the number of applied migrations, and how many
-- of some attempts are still the worker's. When that number changes, a worker that runs has to read anew what the tables
-- are.
SELECT w.request, w.request_grace_seconds, {server_now}, (SELECT COUNT(*) FROM hammerwork_migrations)
/* if :ids */ , {owned_attempts}
FROM hammerwork_workers w WHERE w.id = :id

-- name: owned_attempts
-- The number of attempts that the worker still has.
(SELECT COUNT(*) FROM hammerwork_jobs WHERE id {among} AND claim_token IN (:tokens) AND {of_this_worker})

-- name: renewable
-- Lists the jobs of a worker whose leases end within :lease seconds, or that have none yet.
SELECT id FROM hammerwork_jobs
WHERE {of_this_worker} AND (lease_expires_at IS NULL OR lease_expires_at < {lease_end})

-- name: renew
-- Renews the leases of jobs that a worker still has.
UPDATE hammerwork_jobs {by_id} SET lease_expires_at = {lease_end},
last_heartbeat_at = CASE WHEN started_at > {server_now} THEN started_at ELSE {server_now} END
WHERE id {among} AND {of_this_worker}

-- name: ask
-- Leaves a request to a worker that has not stopped.
UPDATE hammerwork_workers SET request = :request, requested_by = :by, request_grace_seconds = :grace
WHERE id = :id AND ended_at IS NULL

-- name: end
-- Records that a worker has stopped. A request to restart that it does not follow becomes one to stop.
UPDATE hammerwork_workers SET state = :state, heartbeat_at = {server_now}, ended_at = {server_now}, running = 0,
completed = :completed, failed = :failed, request = CASE WHEN request IS NULL THEN NULL ELSE :request END,
queue_counts = :queue_counts, job_progress = NULL
WHERE id = :id

-- name: heartbeats
-- Lists the last heartbeats of workers that have not stopped, for an observer to compare.
SELECT w.id, w.name, w.beats, w.heartbeat_at, w.lease_seconds FROM hammerwork_workers w WHERE w.ended_at IS NULL

-- name: ended_with_jobs
-- Lists the workers that have jobs although they have stopped or are not registered.
SELECT DISTINCT j.claimed_by, w.name, w.beats, w.heartbeat_at, w.lease_seconds
FROM hammerwork_jobs j LEFT JOIN hammerwork_workers w ON w.id = j.claimed_by
WHERE j.status = 'Running' AND j.claimed_by IS NOT NULL AND {still_claimed}
AND (w.id IS NULL OR w.ended_at IS NOT NULL)

-- name: mark_lost
-- Declares a worker lost unless its heartbeat has moved. It changes the row, so that only one of two observers goes on.
UPDATE hammerwork_workers SET state = 'lost', ended_at = {server_now}
WHERE id = :id AND beats = :beats AND heartbeat_at = :heartbeat

-- name: long_ended
-- Lists the workers that stopped before a given time and have no job; none unless another one started a while ago, since a
-- clock that was put ahead a moment ago has seen nobody start.
SELECT w.id FROM hammerwork_workers w
WHERE w.ended_at < :before
AND EXISTS (SELECT 1 FROM hammerwork_workers s WHERE s.started_at BETWEEN :since AND :until)
AND w.id NOT IN (SELECT j.claimed_by FROM hammerwork_jobs j WHERE j.status = 'Running' AND j.claimed_by IS NOT NULL)
ORDER BY w.ended_at LIMIT :limit

-- name: report
-- Leaves a report of a running job for its worker.
INSERT INTO hammerwork_progress (job_id, worker_id, report, reported_at) VALUES (:job, :worker, :report, {server_now})
ON CONFLICT (job_id) DO UPDATE SET worker_id = excluded.worker_id, report = excluded.report,
reported_at = excluded.reported_at

-- name: report [mysql]
REPLACE INTO hammerwork_progress (job_id, worker_id, report, reported_at) VALUES (:job, :worker, :report, {server_now})

-- name: reports
-- Reads the reports that were left for a worker.
SELECT p.job_id, p.report, p.reported_at FROM hammerwork_progress p WHERE p.worker_id = :worker

-- name: forget_reports
-- Deletes reports of jobs that have ended.
DELETE FROM hammerwork_progress WHERE job_id {among}

-- name: forget_reports_of
-- Deletes the reports that were left for workers that have ended.
DELETE FROM hammerwork_progress WHERE worker_id {among}

-- name: forget
-- Deletes workers that stopped before a given time, unless they are back.
DELETE FROM hammerwork_workers WHERE id {among} AND ended_at < :before

-- name: duties [postgresql]
-- The names of the duties that worker w was the last to take, those of streams by their names.
(SELECT string_agg(COALESCE('stream ' || s.name, d.name), CHR(10)) FROM hammerwork_duties d
LEFT JOIN hammerwork_streams s ON d.name = 'stream ' || s.id::text WHERE d.claimed_by = w.id)

-- name: duties [mysql]
(SELECT GROUP_CONCAT(COALESCE(CONCAT('stream ', CONVERT(s.name USING utf8mb4)), d.name) SEPARATOR 0x0A)
FROM hammerwork_duties d LEFT JOIN hammerwork_streams s ON d.name = CONCAT('stream ', s.id) WHERE d.claimed_by = w.id)

-- name: duties [sqlite]
(SELECT group_concat(COALESCE('stream ' || s.name, d.name), char(10)) FROM hammerwork_duties d
LEFT JOIN hammerwork_streams s ON d.name = 'stream ' || s.id WHERE d.claimed_by = w.id)

-- name: list
-- Lists workers, the newest first.
SELECT w.id, w.name, w.host, w.pid, w.version, w.queues, w.handlers, w.concurrency, w.lease_seconds, w.state,
w.request, w.requested_by, w.started_at, w.heartbeat_at, w.ended_at, w.running, w.completed, w.failed, w.memory_bytes,
{progress}, {duties}, {silent_for}
FROM hammerwork_workers w
WHERE TRUE
/* if :alive */ AND w.ended_at IS NULL
/* if :since */ AND (w.ended_at IS NULL OR w.ended_at >= :since)
/* if :heard_since */ AND (w.ended_at IS NOT NULL OR w.heartbeat_at >= :heard_since)
/* if :id */ AND w.id = :id
/* if :name */ AND {same w.name :name}
ORDER BY w.started_at DESC, w.id

-- name: stalled
-- Counts the workers whose heartbeats say that one of their threads stands still.
SELECT COUNT(*) FROM hammerwork_workers w WHERE w.ended_at IS NULL AND {silent_for} <= w.lease_seconds
AND COALESCE(w.main_stalled_seconds, w.finisher_stalled_seconds) IS NOT NULL

-- name: queue_counts
-- What workers have counted of their queues, of those that have not ended, or did so lately.
SELECT w.id, w.name, w.queue_counts FROM hammerwork_workers w
WHERE w.queue_counts IS NOT NULL AND (w.ended_at >= :since OR (w.ended_at IS NULL AND w.heartbeat_at >= :since))
ORDER BY w.started_at, w.id

-- name: running_jobs
-- Lists the jobs that a worker has claimed, the longest first.
SELECT j.id, j.queue_name, j.started_at, j.attempts FROM hammerwork_jobs j
WHERE j.status = 'Running' AND j.claimed_by = :worker AND {still_claimed} ORDER BY j.started_at, j.id LIMIT :limit

-- name: leased_jobs
-- Lists the Running jobs, the longest first, each with its worker and its lease.
SELECT j.id, j.queue_name, j.started_at, j.attempts, {holder}, {lease}
FROM hammerwork_jobs j {its_worker}
WHERE j.status IN (:running)
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :workers */ AND {among_workers}
ORDER BY j.started_at, j.id LIMIT :limit

-- name: among_workers
-- Whether worker w, which has job j, is one of some.
w.id IN (:workers)

-- name: among_workers [original]
FALSE

-- name: holder
-- The worker that has job j.
w.name, {silent_for}, w.lease_seconds

-- name: holder [original]
NULL, NULL, NULL

-- name: its_worker
-- Joins the worker w that has job j.
LEFT JOIN hammerwork_workers w ON w.id = j.claimed_by AND {still_claimed}

-- name: its_worker [original]

-- name: lease
-- The last heartbeat of job j and the end of its lease.
NULL, NULL

-- name: lease [leases]
j.last_heartbeat_at, j.lease_expires_at
