-- Waiting for a tree.

-- name: spawners
-- Which of some jobs have children ahead of them.
SELECT j.id FROM hammerwork_jobs j WHERE j.id IN (:ids) AND {has_config}
