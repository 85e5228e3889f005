-- Workers: one row each, whose heartbeat is the server's clock.

-- name: server_now [postgresql]
clock_timestamp()

-- name: server_now [mysql]
UTC_TIMESTAMP(6)

-- name: server_now [sqlite]
strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')

-- name: register
-- A worker that begins.
INSERT INTO hammerwork_workers (id, name, host, pid, version, queues, handlers, concurrency, lease_seconds, state,
started_at, heartbeat_at, beats)
VALUES (:id, :name, :host, :pid, :version, :queues, :handlers, :concurrency, :lease, 'running', {server_now},
{server_now}, 1)

-- name: figures
heartbeat_at = {server_now}, beats = beats + 1, state = :state, running = :running, completed = :completed,
failed = :failed, memory_bytes = :memory

-- name: heartbeat
-- A heartbeat, and how the worker is.
UPDATE hammerwork_workers SET {figures} WHERE id = :id AND ended_at IS NULL

-- name: revive
-- The heartbeat of a worker that was taken for lost.
UPDATE hammerwork_workers SET {figures}, ended_at = NULL WHERE id = :id

-- name: asked
-- What somebody asked a worker to do, and the server's clock.
SELECT w.request, {server_now} FROM hammerwork_workers w WHERE w.id = :id

-- name: ask
-- A wish to a worker that has not ended.
UPDATE hammerwork_workers SET request = :request, requested_by = :by
WHERE id = :id AND ended_at IS NULL

-- name: end
-- A worker that has ended.
UPDATE hammerwork_workers SET state = :state, heartbeat_at = {server_now}, ended_at = {server_now}, running = 0,
completed = :completed, failed = :failed
WHERE id = :id

-- name: heartbeats
-- What an observer compares: the last heartbeats of workers that have not ended.
SELECT w.id, w.name, w.beats, w.heartbeat_at, w.lease_seconds FROM hammerwork_workers w WHERE w.ended_at IS NULL

-- name: ended_with_jobs
-- Workers that hold jobs although they have ended, or although nobody knows them.
SELECT DISTINCT j.claimed_by, w.name, w.beats, w.heartbeat_at, w.lease_seconds
FROM hammerwork_jobs j LEFT JOIN hammerwork_workers w ON w.id = j.claimed_by
WHERE j.status = 'Running' AND j.claimed_by IS NOT NULL AND {still_claimed}
AND (w.id IS NULL OR w.ended_at IS NOT NULL)

-- name: mark_lost
-- Really changes the row of a lost worker, unless it has beaten again: of two who look after it, one goes on.
UPDATE hammerwork_workers SET state = 'lost', ended_at = {server_now}
WHERE id = :id AND beats = :beats AND heartbeat_at = :heartbeat

-- name: long_ended
-- Workers that ended before then and hold no job.
SELECT w.id FROM hammerwork_workers w
WHERE w.ended_at < :before
AND w.id NOT IN (SELECT j.claimed_by FROM hammerwork_jobs j WHERE j.status = 'Running' AND j.claimed_by IS NOT NULL)
ORDER BY w.ended_at LIMIT :limit

-- name: forget
-- Forgets them, unless they are back.
DELETE FROM hammerwork_workers WHERE id {among} AND ended_at < :before

-- name: list
-- Workers, the newest first.
SELECT w.id, w.name, w.host, w.pid, w.version, w.queues, w.handlers, w.concurrency, w.lease_seconds, w.state,
w.request, w.requested_by, w.started_at, w.heartbeat_at, w.ended_at, w.running, w.completed, w.failed, w.memory_bytes,
{silent_for}
FROM hammerwork_workers w
WHERE TRUE
/* if :alive */ AND w.ended_at IS NULL
/* if :since */ AND (w.ended_at IS NULL OR w.ended_at >= :since)
/* if :heard_since */ AND (w.ended_at IS NOT NULL OR w.heartbeat_at >= :heard_since)
/* if :id */ AND w.id = :id
ORDER BY w.started_at DESC, w.id

-- name: running_jobs
-- What a worker has claimed, the longest first.
SELECT j.id, j.queue_name, j.started_at, j.attempts FROM hammerwork_jobs j
WHERE j.status = 'Running' AND j.claimed_by = :worker AND {still_claimed} ORDER BY j.started_at, j.id LIMIT :limit
