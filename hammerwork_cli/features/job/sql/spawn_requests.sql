-- Spawn requests, which ask workers to spawn again.

-- name: job
-- Reads a job; with :columns, as a spawn handler gets it.
SELECT {is_encrypted}, j.id, j.queue_name, j.payload
/* if :columns */ , :columns
FROM hammerwork_jobs j WHERE j.id = :id

-- name: add
-- Asks the workers to spawn for a job.
INSERT INTO hammerwork_spawn_requests (id, job_id, queue_name, handler, config, state, requested_at, requested_by)
VALUES (:id, :job, :queue, :handler, :config, 'pending', :now, :by)

-- name: columns
-- The columns of a spawn request, in the order of its model.
r.id, r.job_id, r.queue_name, r.handler, r.config, r.state, r.requested_at, r.requested_by, r.claimed_by, r.ended_at,
r.children, r.error_message

-- name: open
-- Reads the open request for a job.
SELECT r.id, r.state FROM hammerwork_spawn_requests r
WHERE r.job_id = :job AND r.state IN ('pending', 'running')

-- name: is_one [postgresql]
-- {is_one name list}: whether a name is in a JSON list, to the letter.
$1 IN (SELECT json_array_elements_text(CAST($2 AS json)))

-- name: is_one [sqlite]
$1 IN (SELECT value FROM json_each($2))

-- name: is_one [mysql]
JSON_CONTAINS($2, JSON_QUOTE(CONVERT($1 USING utf8mb4)))

-- name: pending
-- Lists the pending requests that a worker with these handlers and queues can serve, the oldest first.
SELECT {columns} FROM hammerwork_spawn_requests r WHERE r.state = 'pending'
AND ({is_one r.handler :handlers} OR (r.handler IS NULL AND {is_one r.queue_name :served}))
ORDER BY r.requested_at LIMIT :limit

-- name: of_job
-- Lists the requests for a job, the newest first.
SELECT {columns} FROM hammerwork_spawn_requests r WHERE r.job_id = :job ORDER BY r.requested_at DESC

-- name: by_id
-- Reads one request.
SELECT {columns} FROM hammerwork_spawn_requests r WHERE r.id = :id
