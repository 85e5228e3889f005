-- Where jobs stand in their trees, and how many descendants a root has.

-- name: of_job
-- What a job tells of those below it: where it stands, which run it is in, and whether it was recorded to spawn.
SELECT {ancestry}, j.recurring, j.next_run_at, (SELECT 1 FROM hammerwork_spawn_operations o WHERE o.parent_id = j.id
UNION SELECT 1 FROM hammerwork_spawned_children c WHERE c.parent_id = j.id)
FROM hammerwork_jobs j WHERE j.id = :id

-- name: counters
-- How many descendants a root has, if they are counted, and how many keys a run of a parent has spawned under.
SELECT (SELECT t.descendants FROM hammerwork_spawn_trees t WHERE t.root_id = :root AND t.occurrence = :occurrence)
/* if :keys */ , (SELECT COUNT(*) FROM hammerwork_spawned_children c WHERE c.parent_id = :parent AND c.occurrence = :keys_of)

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
/* if :since */ AND o.started_at >= :since
) + (SELECT COUNT(*) FROM hammerwork_spawned_children c WHERE c.root_id = :root
/* if :since */ AND c.spawned_at >= :since
)
