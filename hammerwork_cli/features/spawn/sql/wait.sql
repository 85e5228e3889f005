-- Waiting for a tree.

-- name: spawners
-- Lists those of some jobs that may still spawn: hammerwork (Rust) inserts children after the end of their parent.
SELECT j.id FROM hammerwork_jobs j WHERE j.id IN (:ids) AND {has_config} AND {by_rust} = 1

-- name: requested
-- Lists the jobs with an open spawn request.
SELECT r.job_id FROM hammerwork_spawn_requests r WHERE r.state IN ('pending', 'running')
