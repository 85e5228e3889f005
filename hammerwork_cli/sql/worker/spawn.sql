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

-- name: standing
-- What a job tells of those below it: where it stands, which run it is in, and whether it was recorded to spawn.
SELECT {ancestry}, j.recurring, j.next_run_at, (SELECT 1 FROM hammerwork_spawn_operations o WHERE o.parent_id = j.id
UNION SELECT 1 FROM hammerwork_spawned_children c WHERE c.parent_id = j.id)
FROM hammerwork_jobs j WHERE j.id = :id

-- name: child_by_key
-- The child that a parent spawned under a key.
SELECT c.child_id FROM hammerwork_spawned_children c
WHERE c.parent_id = :parent AND c.occurrence = :occurrence AND c.spawn_key = :key

-- name: keys
-- How many keys a run of a parent has spawned under.
SELECT COUNT(*) FROM hammerwork_spawned_children c WHERE c.parent_id = :parent AND c.occurrence = :occurrence

-- name: counted
-- How many descendants a root has, if they are counted, and how many keys a run of a parent has spawned under.
SELECT (SELECT t.descendants FROM hammerwork_spawn_trees t WHERE t.root_id = :root AND t.occurrence = :occurrence)
, (SELECT COUNT(*) FROM hammerwork_spawned_children c WHERE c.parent_id = :parent AND c.occurrence = :keys_of) -- when :keys

-- name: record_key
-- Remembers which child has which key.
INSERT INTO hammerwork_spawned_children (parent_id, occurrence, spawn_key, child_id, spawned_at, root_id)
VALUES (:parent, :occurrence, :key, :child, :now, :root)

-- name: forget_earlier_keys
-- Keys of earlier runs of a recurring parent.
DELETE FROM hammerwork_spawned_children WHERE parent_id = :parent AND occurrence < :occurrence

-- name: old_spawn
-- When the spawn ended that a recurring parent is remembered for, the :kept last ones apart.
SELECT o.ended_at, o.occurrence FROM hammerwork_spawn_operations o WHERE o.parent_id = :parent
ORDER BY o.ended_at DESC LIMIT 1 OFFSET :kept

-- name: forget_earlier_spawns
-- That one, and those before it.
DELETE FROM hammerwork_spawn_operations WHERE parent_id = :parent AND ended_at <= :ended

-- name: forget_earlier_trees
-- How many descendants there were then.
DELETE FROM hammerwork_spawn_trees WHERE root_id = :parent AND occurrence <= :occurrence

-- name: spawned_early
-- What some jobs spawned before their end and has not begun, but for what a workflow goes on with; and for which run.
SELECT c.parent_id, c.child_id, c.occurrence, j.status, j.recurring, j.next_run_at FROM hammerwork_spawned_children c
JOIN hammerwork_jobs j ON j.id = c.parent_id JOIN hammerwork_jobs k ON k.id = c.child_id
WHERE c.parent_id {among} AND k.status IN (:statuses)
AND NOT EXISTS (SELECT 1 FROM hammerwork_workflows w WHERE w.id = k.workflow_id AND w.failure_policy <> 'fail_fast')

-- name: add_descendants
-- The counter of a root whose descendants are limited; it begins with everybody who was there before.
INSERT INTO hammerwork_spawn_trees (root_id, occurrence, descendants) VALUES (:root, :occurrence, :everybody)
ON CONFLICT (root_id, occurrence) DO UPDATE SET descendants = hammerwork_spawn_trees.descendants + :children

-- name: add_descendants [mysql]
INSERT INTO hammerwork_spawn_trees (root_id, occurrence, descendants) VALUES (:root, :occurrence, :everybody)
ON DUPLICATE KEY UPDATE descendants = descendants + :children

-- name: descendants
-- How many jobs are below a root.
SELECT t.descendants FROM hammerwork_spawn_trees t WHERE t.root_id = :root AND t.occurrence = :occurrence

-- name: recorded_descendants
-- How many were recorded below a root: those of ends and those by key.
SELECT (SELECT COALESCE(SUM(o.children), 0) FROM hammerwork_spawn_operations o WHERE o.root_id = :root
AND o.started_at >= :since -- when :since
) + (SELECT COUNT(*) FROM hammerwork_spawned_children c WHERE c.root_id = :root
AND c.spawned_at >= :since -- when :since
)

-- name: job
-- A job as it is handed to a spawn handler.
SELECT {claimed} FROM hammerwork_jobs j WHERE j.id = :id

-- name: job_now
-- A job for whoever enqueued it.
SELECT j.status, j.error_message, j.started_at, {claimed} FROM hammerwork_jobs j WHERE j.id = :id

-- name: archived_job_now
-- The same of an archived job, which has no workflow, no limits of its result, and its payload packed.
SELECT j.status, j.error_message, j.started_at,
j.id, j.queue_name, j.payload, j.priority, j.attempts, j.max_attempts, j.timeout_seconds, j.created_at, j.scheduled_at,
j.depends_on, NULL, NULL, j.trace_id, j.correlation_id, j.parent_span_id, j.span_context,
j.cron_schedule, j.timezone, j.recurring, j.next_run_at, NULL, NULL, j.retry_strategy, NULL, NULL
FROM hammerwork_jobs_archive j WHERE j.id = :id

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

-- name: hold_request
-- A request that is still ours, locked.
SELECT r.id FROM hammerwork_spawn_requests r WHERE r.id = :id AND r.state = 'running' AND r.claim_token = :token
{lock_clause}

-- name: take_request
-- Takes a request, unless another worker has.
UPDATE hammerwork_spawn_requests SET state = 'running', claim_token = :token, claimed_by = :worker
WHERE id = :id AND state = 'pending'

-- name: end_request
-- Says how a request ended.
UPDATE hammerwork_spawn_requests SET state = :state, ended_at = :now, children = :children, error_message = :error
WHERE id = :id AND state = 'running' AND claim_token = :token

-- name: requests_of
-- Which requests a worker has as the database knows it.
SELECT id FROM hammerwork_spawn_requests WHERE state = 'running' AND claimed_by = :worker

-- name: return_requests
-- Requests that a worker had taken wait again: all when it is lost, those that it does not know when it lives.
UPDATE hammerwork_spawn_requests SET state = 'pending', claim_token = NULL, claimed_by = NULL
WHERE state = 'running' AND claimed_by = :worker
AND id {among} -- when :ids
