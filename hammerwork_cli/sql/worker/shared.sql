-- Fragments that the statements of worker/ share.

-- name: skip_locked
FOR UPDATE SKIP LOCKED

-- name: skip_locked [sqlite]
-- Its write transactions are alone from their start.

-- name: claimed
-- The guard of every change that a worker makes: the claim is still ours.
claim_token = :token AND status = 'Running' AND started_at = :started

-- name: of_this_worker
-- Whether a worker has the job: a Rust worker that took it has written another start. The last version of ours wrote no
-- time of the claim.
status = 'Running' AND claimed_by = :worker AND (claimed_at = started_at OR claimed_at IS NULL)
