-- Trees that may grow without an end: read from the newest records of spawns, however many there are.

-- name: newest
-- The newest records of a time.
SELECT o.root_id, o.parent_id, o.handler, o.depth, o.children FROM hammerwork_spawn_operations o
WHERE o.ended_at >= :since ORDER BY o.ended_at DESC LIMIT :most

-- name: spawning
-- Counts what handlers have spawned just now, by handler and tree.
SELECT x.handler, x.root_id, MAX(x.depth), COUNT(*), SUM(x.children) FROM ({newest}) AS x WHERE x.children > 0
GROUP BY {by_name x.handler}, x.root_id

-- name: generations
-- Counts the generations of a tree in which a handler has spawned, among some of its records.
SELECT COUNT(DISTINCT x.depth) FROM (SELECT o.depth FROM hammerwork_spawn_operations o
WHERE o.root_id = :root AND {same o.handler :handler} AND o.children > 0 LIMIT :most) AS x

-- name: newest_parents
-- Selects parents that spawned just now in a tree.
SELECT x.parent_id FROM ({newest}) AS x WHERE x.root_id = :root AND x.children > 0 LIMIT :parents
