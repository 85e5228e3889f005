-- Waiting for a tree.

-- name: spawners
-- Lists those of some jobs that may still spawn.
SELECT j.id FROM hammerwork_jobs j WHERE j.id IN (:ids) AND {has_config}
