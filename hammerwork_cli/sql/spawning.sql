-- What workers write when a job spawns others.

-- name: spawned_before
-- Whether a job has spawned in this run of it.
SELECT 1 FROM hammerwork_spawn_operations o
WHERE o.parent_id = :id AND o.occurrence = :occurrence AND o.outcome = 'spawned' LIMIT 1

-- name: forget_spawned
-- Lets a job spawn again when it completes again.
UPDATE hammerwork_spawn_operations SET outcome = 'repeated' WHERE parent_id IN (:ids) AND outcome = 'spawned'

-- name: forget_children
-- Forgets which keys some parents spawned under.
DELETE FROM hammerwork_spawned_children WHERE parent_id IN (:ids)

-- name: record
-- Remembers that a parent spawned.
INSERT INTO hammerwork_spawn_operations (
id, parent_id, root_id, depth, occurrence, operation_id, handler, config, outcome, children, error_message, worker_id,
request_id, started_at, ended_at)
VALUES (:id, :parent, :root, :depth, :occurrence, :operation, :handler, :config, :outcome, :children, :error, :worker,
:request, :started, :ended)

-- name: is_recorded
-- Whether an earlier try of the same spawn was committed. The parent's row proves nothing: others may have ended it.
SELECT 1 FROM hammerwork_spawn_operations o WHERE o.id = :id

-- name: hook_failed
-- Remembers what went wrong after the children were written.
UPDATE hammerwork_spawn_operations SET hook_error = :error WHERE id = :id

-- name: above
-- What some jobs depend on.
SELECT j.id, j.depends_on FROM hammerwork_jobs j WHERE j.id {among}

-- name: archived_above
-- The same of archived jobs.
SELECT j.id, j.depends_on FROM hammerwork_jobs_archive j WHERE j.id IN (:ids)

-- name: child_by_key
-- The child that a parent spawned under a key.
SELECT c.child_id FROM hammerwork_spawned_children c
WHERE c.parent_id = :parent AND c.occurrence = :occurrence AND c.spawn_key = :key

-- name: count_keys
-- How many keys a parent spawned under.
SELECT COUNT(*) FROM hammerwork_spawned_children c WHERE c.parent_id = :parent AND c.occurrence = :occurrence

-- name: record_key
-- Remembers which child has which key.
INSERT INTO hammerwork_spawned_children (parent_id, occurrence, spawn_key, child_id, spawned_at)
VALUES (:parent, :occurrence, :key, :child, :now)

-- name: fail_spawned
-- What jobs that failed for good had spawned while they ran, by the failure policy of its workflow.
UPDATE hammerwork_jobs SET status = 'Failed', failed_at = :now, error_message = :error, dependency_status = 'failed'
WHERE status = 'Pending'
AND id IN (SELECT c.child_id FROM hammerwork_spawned_children c WHERE c.parent_id {among})
AND (workflow_id IS NULL OR workflow_id NOT IN (
SELECT w.id FROM hammerwork_workflows w WHERE w.failure_policy <> 'fail_fast'))

-- name: add_descendants
-- The counter of a root whose descendants are limited.
INSERT INTO hammerwork_spawn_roots (root_id, descendants) VALUES (:root, :children)
ON CONFLICT (root_id) DO UPDATE SET descendants = hammerwork_spawn_roots.descendants + excluded.descendants

-- name: add_descendants [mysql]
INSERT INTO hammerwork_spawn_roots (root_id, descendants) VALUES (:root, :children)
ON DUPLICATE KEY UPDATE descendants = descendants + VALUES(descendants)

-- name: descendants
-- How many jobs are below a root.
SELECT r.descendants FROM hammerwork_spawn_roots r WHERE r.root_id = :root

-- name: job
-- A job as it is handed to a spawn handler.
SELECT {claimed} FROM hammerwork_jobs j WHERE j.id = :id

-- name: job_now
-- A job for whoever enqueued it.
SELECT j.status, j.error_message, j.started_at, {claimed} FROM hammerwork_jobs j WHERE j.id = :id

-- name: request
-- Asks a worker to spawn for a job.
INSERT INTO hammerwork_spawn_requests (id, job_id, queue_name, handler, config, state, requested_at, requested_by)
VALUES (:id, :job, :queue, :handler, :config, 'pending', :now, :by)

-- name: open_request
-- An open request for a job.
SELECT r.id, r.state FROM hammerwork_spawn_requests r
WHERE r.job_id = :job AND r.state IN ('pending', 'running')

-- name: open_requests
-- Jobs with open requests, the newest first.
SELECT r.job_id FROM hammerwork_spawn_requests r
WHERE r.state IN ('pending', 'running')
AND {same r.queue_name :queue} -- when :queue
ORDER BY r.requested_at DESC LIMIT :limit

-- name: request_columns
r.id, r.job_id, r.queue_name, r.handler, r.config, r.state, r.requested_at, r.requested_by, r.claimed_by, r.ended_at,
r.children, r.error_message

-- name: is_one [postgresql]
-- Whether a name is one of a JSON list, to the letter.
$1 IN (SELECT json_array_elements_text(CAST($2 AS json)))

-- name: is_one [sqlite]
$1 IN (SELECT value FROM json_each($2))

-- name: is_one [mysql]
JSON_CONTAINS($2, JSON_QUOTE(CONVERT($1 USING utf8mb4)))

-- name: pending_requests
-- What workers were asked for and have not begun, as far as one with these handlers and queues serves it.
SELECT {request_columns} FROM hammerwork_spawn_requests r WHERE r.state = 'pending'
AND ({is_one r.handler :handlers} OR (r.handler IS NULL AND {is_one r.queue_name :served}))
ORDER BY r.requested_at LIMIT :limit

-- name: requests
-- What was asked for a job, newest first.
SELECT {request_columns} FROM hammerwork_spawn_requests r WHERE r.job_id = :job ORDER BY r.requested_at DESC

-- name: request_by_id
-- One request.
SELECT {request_columns} FROM hammerwork_spawn_requests r WHERE r.id = :id

-- name: take_request
-- Takes a request, unless another worker has.
UPDATE hammerwork_spawn_requests SET state = 'running', claim_token = :token, claimed_by = :worker
WHERE id = :id AND state = 'pending'

-- name: end_request
-- Says how a request ended.
UPDATE hammerwork_spawn_requests SET state = :state, ended_at = :now, children = :children, error_message = :error
WHERE id = :id AND state = 'running' AND claim_token = :token

-- name: return_requests
-- Requests that a lost worker had taken.
UPDATE hammerwork_spawn_requests SET state = 'pending', claim_token = NULL, claimed_by = NULL
WHERE state = 'running' AND claimed_by = :worker
