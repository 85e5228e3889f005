-- Spawn requests, as workers serve them.

-- name: claim
-- Claims a request unless another worker has.
UPDATE hammerwork_spawn_requests SET state = 'running', claim_token = :token, claimed_by = :worker
WHERE id = :id AND state = 'pending'

-- name: lock
-- Locks a request that the worker still has.
SELECT r.id FROM hammerwork_spawn_requests r WHERE r.id = :id AND r.state = 'running' AND r.claim_token = :token
{lock_clause}

-- name: finish
-- Records how a request ended.
UPDATE hammerwork_spawn_requests SET state = :state, ended_at = :now, children = :children, error_message = :error
WHERE id = :id AND state = 'running' AND claim_token = :token

-- name: count
-- Corrects the number of children that a request has spawned.
UPDATE hammerwork_spawn_requests SET children = :children WHERE id = :id

-- name: claimed_by
-- Lists the requests that a worker has, according to the database.
SELECT id FROM hammerwork_spawn_requests WHERE state = 'running' AND claimed_by = :worker

-- name: give_back
-- Gives back the requests of a worker: all when it is lost, those that it does not know while it lives.
UPDATE hammerwork_spawn_requests SET state = 'pending', claim_token = NULL, claimed_by = NULL
WHERE state = 'running' AND claimed_by = :worker
/* if :ids */ AND id {among}
