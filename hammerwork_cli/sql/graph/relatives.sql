-- What was spawned: trees, operations, and what is still to come.
--
-- A child is a job whose depends_on holds its parent. Three ways lead to it:
--   by_first_parent  our index on depends_on's first member; the few joins (several parents) are asked for apart
--   by_gin           PostgreSQL before our migration: the GIN index on depends_on, 200 ids at a time
--   by_scan          MySQL and SQLite before our migration, PostgreSQL before 012: one pass over the table
-- Aliases: j is the job that is selected, or the parent; c is a child. {node}, {edges} and their like are in shared.sql.

-- name: any_joins
-- Whether any job has several parents.
SELECT 1 FROM {joined_edges} AS c LIMIT 1

-- name: later_parent
c.parent

-- name: later_parent [mysql]
-- Compared without letter case there.
LOWER(c.parent)

-- name: later_parents
-- Parents that are not a job's first, as often as they are.
SELECT {later_parent} FROM {joined_edges} AS c WHERE c.parent IS NOT NULL LIMIT :limit

-- name: any_archived
-- Whether the archive holds anything.
SELECT 1 FROM hammerwork_jobs_archive LIMIT 1

-- name: jobs
-- Jobs by id.
SELECT {node} FROM hammerwork_jobs j WHERE j.id {among}

-- name: archived_jobs
-- Archived jobs by id.
SELECT {archived_node} FROM hammerwork_jobs_archive j WHERE j.id {among}

-- name: children
-- Children of some jobs.
SELECT {node} FROM hammerwork_jobs j
WHERE {is_child}
/* if :limit */ ORDER BY {urgent_first}
/* if :limit */ LIMIT :limit

-- name: all_children [by_gin]
-- The same from many lists of ids, without a limit; those with parents in several lists come several times.
SELECT {node} FROM (VALUES :lists) AS part (ids) JOIN hammerwork_jobs j ON j.depends_on && CAST(part.ids AS uuid[])

-- name: child_ids [mysql by_first_parent]
-- Ids of the jobs whose first parent is in a JSON list, out of the index alone: joined one by one, where a list of values
-- is looked up twice, once to guess how many rows there are.
SELECT j.id FROM JSON_TABLE(:parents, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
STRAIGHT_JOIN hammerwork_jobs j FORCE INDEX (idx_hammerwork_jobs_first_parent) ON {first_parent} = {as_id e.parent}

-- name: joined_children [postgresql]
-- By the GIN index, which knows all parents; those whose first parent is asked for come once more.
SELECT {node} FROM hammerwork_jobs j
WHERE j.depends_on && CAST(:ids AS uuid[]) AND cardinality(j.depends_on) > 1
/* if :limit */ ORDER BY {urgent_first}
/* if :limit */ LIMIT :limit

-- name: joined_children
-- Children of some jobs of which none is the first parent.
SELECT {node} FROM hammerwork_jobs j
WHERE j.id IN (SELECT c.id FROM {joined_edges} AS c WHERE c.parent {among})
/* if :limit */ ORDER BY {urgent_first}
/* if :limit */ LIMIT :limit

-- name: archived_children
-- Archived children of some jobs.
SELECT {archived_node} FROM hammerwork_jobs_archive j
WHERE {is_archived_child}
/* if :limit */ ORDER BY {urgent_first}
/* if :limit */ LIMIT :limit

-- name: state
-- The columns of queries.waiting.State, in order.
j.id, j.status, j.dependency_status, COALESCE(j.completed_at, j.failed_at, j.timed_out_at)

-- name: states
-- Jobs by id.
SELECT {state} FROM hammerwork_jobs j WHERE j.id {among}

-- name: archived_states
-- Archived jobs by id.
SELECT {state} FROM hammerwork_jobs_archive j WHERE j.id {among}

-- name: child_states
-- Children of some jobs.
SELECT {state} FROM hammerwork_jobs j WHERE {is_child}

-- name: joined_child_states [postgresql]
-- Children of some jobs of which none is the first parent.
SELECT {state} FROM hammerwork_jobs j
WHERE j.depends_on && CAST(:ids AS uuid[]) AND cardinality(j.depends_on) > 1

-- name: joined_child_states
-- Children of some jobs of which none is the first parent.
SELECT {state} FROM hammerwork_jobs j WHERE j.id IN (SELECT c.id FROM {joined_edges} AS c WHERE c.parent {among})

-- name: archived_child_states [by_first_parent]
-- Archived children of some jobs.
SELECT {state} FROM hammerwork_jobs_archive j WHERE {first_parent} {among}

-- name: archived_child_states
SELECT {state} FROM hammerwork_jobs_archive j WHERE j.id IN (SELECT c.id FROM {archived_edges} AS c WHERE c.parent {among})

-- name: totals
-- Status, how many, when the first was created and the last ended.
j.status, COUNT(*), MIN(j.created_at), MAX(COALESCE(j.completed_at, j.failed_at, j.timed_out_at))

-- name: edge_totals
c.status, COUNT(*), MIN(c.created_at), MAX(COALESCE(c.completed_at, c.failed_at))

-- name: child_totals [by_first_parent]
-- The children of some jobs, counted by parent and status.
SELECT {first_parent}, {totals} FROM hammerwork_jobs j WHERE {first_parent} {among} GROUP BY {first_parent}, j.status

-- name: child_totals [by_gin]
SELECT e.parent, {totals} FROM hammerwork_jobs j CROSS JOIN LATERAL unnest(j.depends_on) AS e (parent)
WHERE j.depends_on && CAST(:ids AS uuid[]) AND e.parent {among} GROUP BY e.parent, j.status

-- name: child_totals [by_scan]
SELECT c.parent, {edge_totals} FROM {edges} AS c WHERE c.parent {among} GROUP BY c.parent, c.status

-- name: joined_child_totals [postgresql]
-- The children of some jobs of which none is the first parent, counted by parent and status.
SELECT e.parent, {totals} FROM hammerwork_jobs j CROSS JOIN LATERAL unnest(j.depends_on[2:]) AS e (parent)
WHERE j.depends_on && CAST(:ids AS uuid[]) AND e.parent {among} GROUP BY e.parent, j.status

-- name: joined_child_totals
SELECT c.parent, {edge_totals} FROM {joined_edges} AS c WHERE c.parent {among} GROUP BY c.parent, c.status

-- name: archived_child_totals [by_first_parent]
-- The children of some jobs that are in the archive only, counted by parent and status.
SELECT {first_parent}, {totals} FROM hammerwork_jobs_archive j
WHERE {first_parent} {among} AND {is_only_archived} GROUP BY {first_parent}, j.status

-- name: archived_child_totals
SELECT c.parent, {totals} FROM {archived_edges} AS c JOIN hammerwork_jobs_archive j ON j.id = c.id
WHERE c.parent {among} AND {is_only_archived} GROUP BY c.parent, j.status
