-- Notifications, which only PostgreSQL has.

-- name: notify [postgresql]
-- Wakes idle workers. Notifying transactions commit one after the other, so this one does not wait for the disk.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('hammerwork', queue)
FROM unnest(CAST(ARRAY[:queues] AS text[])) AS q (queue)

-- name: notify_within [postgresql]
-- The same within a transaction of the application, which commits as the application says. Its commit would fail if the
-- queue of notifications were full; workers poll as well.
SELECT pg_notify('hammerwork', queue)
FROM unnest(CAST(ARRAY[:queues] AS text[])) AS q (queue) WHERE pg_notification_queue_usage() < 0.9
