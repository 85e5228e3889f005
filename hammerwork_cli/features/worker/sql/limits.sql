-- Limits of queues, and the starts that count for them.

-- name: limit_columns
-- The columns of a QueueLimit, and the number of its claims.
l.queue_name, l.concurrency, l.rate, l.period_ms, l.per_key, l.changed_by, l.changed_at, l.claims

-- name: all
-- Lists the limits, by the names of their queues.
SELECT {limit_columns} FROM hammerwork_queue_limits l
/* if :queues */ WHERE {one_of l.queue_name :queues}
ORDER BY l.queue_name

-- name: lock
-- Locks the limit of a queue for one claim, unless another claim has locked it, and reads the server's clock.
SELECT {limit_columns}, {server_now} FROM hammerwork_queue_limits l WHERE {same l.queue_name :queue}
{skip_locked}

-- name: touch
-- Counts a claim, so that two claims conflict also on two nodes of a cluster.
UPDATE hammerwork_queue_limits SET claims = claims + 1 WHERE {same queue_name :queue}

-- name: set
-- Writes the limit of a queue that has none.
INSERT INTO hammerwork_queue_limits
(queue_name, concurrency, rate, period_ms, per_key, changed_by, changed_at, claims)
VALUES (:queue, :concurrency, :rate, :period, :per, :changed_by, :now, 0)

-- name: remove
-- Deletes the limit of a queue.
DELETE FROM hammerwork_queue_limits WHERE {same queue_name :queue}

-- name: forget
-- Deletes the recorded starts of a queue; with :before, only those that count no longer.
DELETE FROM hammerwork_limit_starts WHERE {same queue_name :queue}
/* if :before */ AND ends_at < :before

-- name: running
-- Counts the running jobs of a queue.
SELECT COUNT(*) FROM hammerwork_jobs j WHERE {same j.queue_name :queue} AND j.status IN (:running)

-- name: running_keys
-- Reads the values of the running jobs of a queue that its limit goes by.
SELECT {limit_key :per} FROM hammerwork_jobs j WHERE {same j.queue_name :queue} AND j.status IN (:running)

-- name: full
-- Lists the values whose jobs have started as often as they may. A time that is too late is that of a wrong clock.
SELECT s.limit_key, s.full_until FROM hammerwork_limit_starts s
WHERE {same s.queue_name :queue} AND s.full_until > :now AND s.full_until <= :latest
ORDER BY s.full_until DESC LIMIT :most

-- name: look_again
-- Lets the next claims count which values have room, after a change of the rate.
UPDATE hammerwork_limit_starts SET full_until = NULL WHERE {same queue_name :queue}

-- name: starts
-- Reads the recorded starts of some values.
SELECT s.key_hash, s.starts FROM hammerwork_limit_starts s WHERE {same s.queue_name :queue} AND s.key_hash IN (:hashes)

-- name: forget_starts
-- Deletes the recorded starts of some values, before they are written anew.
DELETE FROM hammerwork_limit_starts WHERE {same queue_name :queue} AND key_hash IN (:hashes)

-- name: record
-- Records starts.
INSERT INTO hammerwork_limit_starts (queue_name, key_hash, limit_key, starts, full_until, ends_at) VALUES :rows

-- name: keys
-- Reads the values of some jobs.
SELECT j.id, {limit_key :per} FROM hammerwork_jobs j WHERE j.id {among}
