-- Notifications, which only PostgreSQL has.

-- name: notify [postgresql]
-- Wakes idle workers. Notifying transactions commit one after the other, so this one does not wait for the disk.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('hammerwork', queue)
FROM unnest(CAST(ARRAY[:queues] AS text[])) AS q (queue)
