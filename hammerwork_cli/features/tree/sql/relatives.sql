-- Children and parents of many jobs.
--
-- A child is a job whose depends_on holds its parent. The tags name three ways to find children:
--   current   our index on the first member of depends_on; joined children, whose first parent is another job, have
--             statements of their own
--   by_gin    PostgreSQL without our indexes: the GIN index on depends_on, 300 ids at a time
--   by_scan   MySQL and SQLite without our indexes, PostgreSQL before 012: one pass over the table
-- j is the selected job, c a child.

-- name: any_joins
-- Tells whether any job has several parents.
SELECT 1 FROM {joined_edges} AS c LIMIT 1

-- name: later_parent
-- A parent from {joined_edges}, spelled as ids are.
c.parent

-- name: later_parent [mysql]
-- In lower case, since MySQL ignores case when it compares ids.
LOWER(c.parent)

-- name: later_parents
-- Lists every parent that is not the first of a job, once for each such job.
SELECT {later_parent} FROM {joined_edges} AS c WHERE c.parent IS NOT NULL LIMIT :limit

-- name: any_archived
-- Tells whether the archive holds any job.
SELECT 1 FROM hammerwork_jobs_archive LIMIT 1

-- name: date
-- The columns of tree.model.JobDate, in order, of job j.
j.scheduled_at, j.dependency_status = 'waiting'

-- name: jobs
-- Reads jobs by their ids.
SELECT
/* if :dated */ {date},
{node} FROM hammerwork_jobs j WHERE j.id {among}

-- name: archived_jobs
-- Reads archived jobs by their ids.
SELECT
/* if :dated */ {date},
{archived_node} FROM hammerwork_jobs_archive j WHERE j.id {among}

-- name: children
-- Reads the children of some jobs.
SELECT
/* if :dated */ {date},
{node} FROM hammerwork_jobs j
WHERE {is_child}
/* if :limit */ ORDER BY {urgent_first}
/* if :limit */ LIMIT :limit

-- name: all_children [by_gin]
-- Reads the children of many lists of jobs, without a limit. A child with parents in several lists comes several times.
SELECT
/* if :dated */ {date},
{node} FROM (VALUES :lists) AS part (ids) JOIN hammerwork_jobs j ON j.depends_on && CAST(part.ids AS uuid[])

-- name: level [postgresql current]
-- Reads all children of many first parents, and the joined children of a list that the GIN index can look up.
SELECT
/* if :dated */ {date},
{node} FROM {first_children}
/* if :joined */ UNION ALL SELECT
/* if :dated_too */ {date},
/* if :joined */ {node} FROM hammerwork_jobs j WHERE {is_joined_child}

-- name: child_ids [mysql current]
-- Lists the ids of the children of a JSON list of first parents, out of the index alone. They are joined one by one: a
-- list of values would be looked up twice, once to estimate the number of rows.
SELECT j.id FROM JSON_TABLE(:parents, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
STRAIGHT_JOIN hammerwork_jobs j FORCE INDEX (idx_hammerwork_jobs_first_parent) ON {first_parent} = {as_id e.parent}

-- name: joined_children [postgresql]
-- Reads the children of some jobs through the GIN index, which knows all parents. A child whose first parent is one of
-- the jobs comes once more.
SELECT
/* if :dated */ {date},
{node} FROM hammerwork_jobs j
WHERE {is_joined_child}
/* if :limit */ ORDER BY {urgent_first}
/* if :limit */ LIMIT :limit

-- name: joined_children
-- Reads the children of some jobs whose first parent is another job.
SELECT
/* if :dated */ {date},
{node} FROM hammerwork_jobs j
WHERE j.id IN (SELECT c.id FROM {joined_edges} AS c WHERE c.parent {among})
/* if :limit */ ORDER BY {urgent_first}
/* if :limit */ LIMIT :limit

-- name: archived_children
-- Reads the archived children of some jobs.
SELECT
/* if :dated */ {date},
{archived_node} FROM hammerwork_jobs_archive j
WHERE {is_archived_child}
/* if :limit */ ORDER BY {urgent_first}
/* if :limit */ LIMIT :limit

-- name: state
-- The columns of spawn.queries.wait.JobState, in order.
j.id, {status j}, j.dependency_status, COALESCE(j.completed_at, j.failed_at, j.timed_out_at)

-- name: states
-- Reads the states of jobs by their ids.
SELECT {state} FROM hammerwork_jobs j WHERE j.id {among}

-- name: archived_states
-- Reads the states of archived jobs by their ids.
SELECT {state} FROM hammerwork_jobs_archive j WHERE j.id {among}

-- name: child_states
-- Reads the states of the children of some jobs.
SELECT {state} FROM hammerwork_jobs j WHERE {is_child}

-- name: joined_child_states [postgresql]
-- Reads the states of the children of some jobs whose first parent is another job.
SELECT {state} FROM hammerwork_jobs j
WHERE {is_joined_child}

-- name: joined_child_states
SELECT {state} FROM hammerwork_jobs j WHERE j.id IN (SELECT c.id FROM {joined_edges} AS c WHERE c.parent {among})

-- name: archived_child_states [current]
-- Reads the states of the archived children of some jobs.
SELECT {state} FROM hammerwork_jobs_archive j WHERE {first_parent} {among}

-- name: archived_child_states
SELECT {state} FROM hammerwork_jobs_archive j WHERE j.id IN (SELECT c.id FROM {archived_edges} AS c WHERE c.parent {among})

-- name: totals
-- Status, number of jobs j, first creation and last end.
{status j}, COUNT(*), MIN(j.created_at), MAX(COALESCE(j.completed_at, j.failed_at, j.timed_out_at))

-- name: edge_totals
-- The same of children c.
{status c}, COUNT(*), MIN(c.created_at), MAX(COALESCE(c.completed_at, c.failed_at))

-- name: child_totals [current]
-- Counts the children of some jobs by parent and status.
SELECT {first_parent}, {totals} FROM hammerwork_jobs j WHERE {first_parent} {among} GROUP BY {first_parent}, {status j}

-- name: child_totals [by_gin]
SELECT e.parent, {totals} FROM hammerwork_jobs j CROSS JOIN LATERAL unnest(j.depends_on) AS e (parent)
WHERE j.depends_on && CAST(:ids AS uuid[]) AND e.parent {among} GROUP BY e.parent, {status j}

-- name: child_totals [by_scan]
SELECT c.parent, {edge_totals} FROM {edges} AS c WHERE c.parent {among} GROUP BY c.parent, {status c}

-- name: joined_child_totals [postgresql]
-- Counts the children of some jobs whose first parent is another job, by parent and status.
SELECT e.parent, {totals} FROM hammerwork_jobs j CROSS JOIN LATERAL unnest(j.depends_on[2:]) AS e (parent)
WHERE {is_joined_child} AND e.parent {among} GROUP BY e.parent, {status j}

-- name: joined_child_totals
SELECT c.parent, {edge_totals} FROM {joined_edges} AS c WHERE c.parent {among} GROUP BY c.parent, {status c}

-- name: archived_child_totals [current]
-- Counts the children of some jobs that are only in the archive, by parent and status.
SELECT {first_parent}, {totals} FROM hammerwork_jobs_archive j
WHERE {first_parent} {among} AND {is_only_archived} GROUP BY {first_parent}, {status j}

-- name: archived_child_totals
SELECT c.parent, {totals} FROM {archived_edges} AS c JOIN hammerwork_jobs_archive j ON j.id = c.id
WHERE c.parent {among} AND {is_only_archived} GROUP BY c.parent, {status j}
