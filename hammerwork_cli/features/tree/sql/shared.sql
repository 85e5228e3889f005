-- Fragments that the statements about trees share.

-- name: urgency
-- 0 for a failed job, 1 for a running one, 2 for any other.
CASE WHEN j.status IN (:failed) THEN 0 WHEN j.status IN (:running) THEN 1 ELSE 2 END

-- name: urgent_first
-- The order of children where there is not room for all: failed, running, then the oldest.
{urgency}, j.created_at, j.id

-- name: is_child [current]
-- Whether job j is a child of one of :ids. The few whose first parent is another job are joined children.
{first_parent} {among}

-- name: is_child [by_gin]
j.depends_on && CAST(:ids AS uuid[])

-- name: is_child [by_scan]
j.id IN (SELECT c.id FROM {edges} AS c WHERE c.parent {among})

-- name: is_child [by_scan mysql]
-- Reads every row once, where a join with {edges} reads it twice. Not EXISTS: MySQL 8 can turn that into a join that
-- forgets which row the list belongs to.
(SELECT COUNT(*) FROM JSON_TABLE(j.depends_on, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
WHERE {as_id e.parent} {among}) > 0

-- name: is_archived_child [current]
-- Whether the archived job j is a child of one of :ids.
{first_parent} {among}

-- name: is_archived_child
j.id IN (SELECT c.id FROM {archived_edges} AS c WHERE c.parent {among})

-- name: is_only_archived
-- Whether the archived job j is not in the table of jobs too.
NOT EXISTS (SELECT 1 FROM hammerwork_jobs m WHERE m.id = j.id)

-- name: waits
-- Whether one of some jobs waits, in words that fit no index: to read all jobs that wait, and pick those, may take long.
dependency_status = 'waiting'

-- name: waits [postgresql]
dependency_status || '' = 'waiting'

-- name: waits [sqlite]
+dependency_status = 'waiting'
