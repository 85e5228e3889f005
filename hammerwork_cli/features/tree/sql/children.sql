-- The children of one job, in pages and in groups.

-- name: in_page
-- Whether a child belongs to the page: it fits the filter, and follows the last child seen in the order of
-- {urgent_first}.
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :statuses */ AND j.status IN (:statuses)
/* if :derived */ AND {status j} IN (:derived)
/* if :cursor_at */ AND {urgency} >= :cursor_urgency
/* if :cursor_at */ AND ({urgency} > :cursor_urgency OR j.created_at > :cursor_at OR (j.created_at = :cursor_at AND j.id > :cursor_id))

-- name: is_other_child [postgresql]
-- Whether job j is a child of one of :ids, and its first parent is another job.
{is_joined_child} AND ({first_parent} {among}) IS NOT TRUE

-- name: is_other_child
j.id IN (SELECT c.id FROM {joined_edges} AS c WHERE c.parent {among}) AND ({first_parent} {among}) IS NOT TRUE

-- name: page
-- Lists a page of the children of a job.
SELECT {urgency}, {node} FROM hammerwork_jobs j
WHERE {is_child}
{in_page}
ORDER BY {urgent_first}
LIMIT :limit

-- name: joined_page
-- Lists a page of the children whose first parent is another job.
SELECT {urgency}, {node} FROM hammerwork_jobs j
WHERE {is_other_child}
{in_page}
ORDER BY {urgent_first}
LIMIT :limit

-- name: archived_page
-- Lists a page of the children that are only in the archive.
SELECT {urgency}, {archived_node} FROM hammerwork_jobs_archive j
WHERE {is_archived_child} AND {is_only_archived}
{in_page}
ORDER BY {urgent_first}
LIMIT :limit

-- name: groups
-- Counts the children of a job by queue and status.
SELECT j.queue_name, {status j}, COUNT(*) FROM hammerwork_jobs j WHERE {is_child} GROUP BY {by_name j.queue_name}, {status j}

-- name: joined_groups
-- Counts the children whose first parent is another job, by queue and status.
SELECT j.queue_name, {status j}, COUNT(*) FROM hammerwork_jobs j WHERE {is_other_child} GROUP BY {by_name j.queue_name}, {status j}

-- name: archived_groups
-- Counts the children that are only in the archive, by queue and status.
SELECT j.queue_name, {status j}, COUNT(*) FROM hammerwork_jobs_archive j
WHERE {is_archived_child} AND {is_only_archived}
GROUP BY {by_name j.queue_name}, {status j}
