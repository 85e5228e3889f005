-- Fragments that the statements of graph/ share.

-- name: urgency
CASE WHEN j.status IN (:failed) THEN 0 WHEN j.status IN (:running) THEN 1 ELSE 2 END

-- name: urgent_first
-- What to keep when there is room for some only: failures, then what runs, then the oldest.
{urgency}, j.created_at, j.id

-- name: is_child [by_first_parent]
-- Whether j is a child of one of :ids; the few of which none is the first parent are joined_children.
{first_parent} {among}

-- name: is_child [by_gin]
j.depends_on && CAST(:ids AS uuid[])

-- name: is_child [by_scan]
j.id IN (SELECT c.id FROM {edges} AS c WHERE c.parent {among})

-- name: is_child [by_scan mysql]
-- Reads every row once, where a join with {edges} reads it twice. Not EXISTS: MySQL 8 can turn that into a join that
-- forgets which row the list is of.
(SELECT COUNT(*) FROM JSON_TABLE(j.depends_on, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
WHERE {as_id e.parent} {among}) > 0

-- name: is_archived_child [by_first_parent]
{first_parent} {among}

-- name: is_archived_child
j.id IN (SELECT c.id FROM {archived_edges} AS c WHERE c.parent {among})

-- name: is_only_archived
NOT EXISTS (SELECT 1 FROM hammerwork_jobs m WHERE m.id = j.id)
