-- Notifications, which only PostgreSQL has.

-- name: notify [postgresql]
-- Wakes idle workers when the transaction commits.
SELECT pg_notify('hammerwork', :queue)
