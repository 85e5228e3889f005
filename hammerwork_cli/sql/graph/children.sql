-- The children of one job, a page at a time, and counted.

-- name: in_page
-- What a page of children may hold: after the last one seen, in the order of {urgent_first}.
/* if :queue */ AND {same j.queue_name :queue}
/* if :statuses */ AND j.status IN (:statuses)
/* if :cursor_at */ AND {urgency} >= :cursor_urgency
/* if :cursor_at */ AND ({urgency} > :cursor_urgency OR j.created_at > :cursor_at OR (j.created_at = :cursor_at AND j.id > :cursor_id))

-- name: is_other_child [postgresql]
-- Whether j is a child of one of :ids, and none of these is its first parent.
j.depends_on && CAST(:ids AS uuid[]) AND cardinality(j.depends_on) > 1 AND ({first_parent} {among}) IS NOT TRUE

-- name: is_other_child
j.id IN (SELECT c.id FROM {joined_edges} AS c WHERE c.parent {among}) AND ({first_parent} {among}) IS NOT TRUE

-- name: page
-- Children of a job, a page at a time.
SELECT {urgency}, {node} FROM hammerwork_jobs j
WHERE {is_child}
{in_page}
ORDER BY {urgent_first}
LIMIT :limit

-- name: joined_page
-- The same of children of which it is not the first parent.
SELECT {urgency}, {node} FROM hammerwork_jobs j
WHERE {is_other_child}
{in_page}
ORDER BY {urgent_first}
LIMIT :limit

-- name: archived_page
-- Those that are in the archive only.
SELECT {urgency}, {archived_node} FROM hammerwork_jobs_archive j
WHERE {is_archived_child} AND {is_only_archived}
{in_page}
ORDER BY {urgent_first}
LIMIT :limit

-- name: groups
-- Children of a job, counted by queue and status.
SELECT j.queue_name, j.status, COUNT(*) FROM hammerwork_jobs j WHERE {is_child} GROUP BY {by_name j.queue_name}, j.status

-- name: joined_groups
-- The same of children of which it is not the first parent.
SELECT j.queue_name, j.status, COUNT(*) FROM hammerwork_jobs j WHERE {is_other_child} GROUP BY {by_name j.queue_name}, j.status

-- name: archived_groups
-- The same of archived children.
SELECT j.queue_name, j.status, COUNT(*) FROM hammerwork_jobs_archive j
WHERE {is_archived_child} AND {is_only_archived}
GROUP BY {by_name j.queue_name}, j.status
