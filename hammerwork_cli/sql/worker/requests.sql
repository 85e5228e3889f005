-- Spawn requests as workers serve them.

-- name: claim
-- Takes a request, unless another worker has.
UPDATE hammerwork_spawn_requests SET state = 'running', claim_token = :token, claimed_by = :worker
WHERE id = :id AND state = 'pending'

-- name: lock
-- A request that is still ours, locked.
SELECT r.id FROM hammerwork_spawn_requests r WHERE r.id = :id AND r.state = 'running' AND r.claim_token = :token
{lock_clause}

-- name: finish
-- Says how a request ended.
UPDATE hammerwork_spawn_requests SET state = :state, ended_at = :now, children = :children, error_message = :error
WHERE id = :id AND state = 'running' AND claim_token = :token

-- name: claimed_by
-- Which requests a worker has as the database knows it.
SELECT id FROM hammerwork_spawn_requests WHERE state = 'running' AND claimed_by = :worker

-- name: give_back
-- Requests that a worker had taken wait again: all when it is lost, those that it does not know when it lives.
UPDATE hammerwork_spawn_requests SET state = 'pending', claim_token = NULL, claimed_by = NULL
WHERE state = 'running' AND claimed_by = :worker
/* if :ids */ AND id {among}
