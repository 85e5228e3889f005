-- The places of jobs in their trees, and the descendants of roots.

-- name: of_job
-- Reads the place of a job in its tree, its current run, and whether it has spawned.
SELECT {ancestry}, j.recurring, j.next_run_at, (SELECT 1 FROM hammerwork_spawn_operations o WHERE o.parent_id = j.id
UNION SELECT 1 FROM hammerwork_spawned_children c WHERE c.parent_id = j.id)
FROM hammerwork_jobs j WHERE j.id = :id

-- name: counters
-- Reads the counters where no other statement returns them.
SELECT {counts}

-- name: add_descendants
-- Adds to the counter of a root whose descendants are limited; a new counter starts with all that are there.
INSERT INTO hammerwork_spawn_trees (root_id, occurrence, descendants) VALUES (:root, :occurrence, :everybody)
ON CONFLICT (root_id, occurrence) DO UPDATE SET descendants = hammerwork_spawn_trees.descendants + :children

-- name: add_descendants [mysql]
INSERT INTO hammerwork_spawn_trees (root_id, occurrence, descendants) VALUES (:root, :occurrence, :everybody)
ON DUPLICATE KEY UPDATE descendants = descendants + :children

-- name: descendants
-- Reads the number of descendants of a root.
SELECT t.descendants FROM hammerwork_spawn_trees t WHERE t.root_id = :root AND t.occurrence = :occurrence

-- name: recorded_descendants
-- Counts the recorded descendants of a root, with and without spawn keys. Occurrences may overlap, so it leaves out the
-- jobs whose row names another one. Time decides where no row does.
SELECT (SELECT COALESCE(SUM(o.children), 0) FROM hammerwork_spawn_operations o
/* if :since */ LEFT JOIN hammerwork_jobs j ON j.id = o.parent_id
WHERE o.root_id = :root
/* if :since */ AND o.started_at >= :since AND (o.parent_id <> :root OR o.occurrence = :occurrence)
/* if :since */ AND (j.ancestry IS NULL OR j.ancestry LIKE :place)
) + (SELECT COUNT(*) FROM hammerwork_spawned_children c
/* if :since */ LEFT JOIN hammerwork_jobs j ON j.id = c.child_id
WHERE c.root_id = :root
/* if :since */ AND c.spawned_at >= :since AND (j.ancestry IS NULL OR j.ancestry LIKE :place)
)
