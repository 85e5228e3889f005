-- The children of one job, in pages and in groups.

-- name: is_failing
-- Whether job j is one of :failing, which have failures below them: never an empty list.
j.id IN (:failing)

-- name: is_failing [postgresql]
j.id = ANY(CAST(:failing AS uuid[]))

-- name: is_failing [sqlite]
j.id IN (SELECT value FROM json_each(:failing))

-- name: trouble
-- 0 for a failed job, 1 for one with failures below it, 2 for a running one, 3 for any other.
CASE WHEN j.status IN (:failed) THEN 0 WHEN {is_failing} THEN 1 WHEN j.status IN (:running) THEN 2 ELSE 3 END

-- name: trouble_first
-- The order of pages.
{trouble}, j.created_at, j.id

-- name: in_page
-- Whether a child belongs to the page: it fits the filter, and follows the last child seen in the order of
-- {trouble_first}.
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :statuses */ AND j.status IN (:statuses)
/* if :derived */ AND {status j} IN (:derived)
/* if :only_failing */ AND {is_failing}
/* if :not_failing */ AND NOT ({is_failing})
/* if :cursor_at */ AND {trouble} >= :cursor_trouble
/* if :cursor_at */ AND ({trouble} > :cursor_trouble OR j.created_at > :cursor_at OR (j.created_at = :cursor_at AND j.id > :cursor_id))

-- name: is_other_child [postgresql]
-- Whether job j is a child of one of :ids, and its first parent is another job.
{is_joined_child} AND ({first_parent} {among}) IS NOT TRUE

-- name: is_other_child
j.id IN (SELECT c.id FROM {joined_edges} AS c WHERE c.parent {among}) AND ({first_parent} {among}) IS NOT TRUE

-- name: page
-- Lists a page of the children of a job.
SELECT {trouble}, {node} FROM hammerwork_jobs j
WHERE {is_child}
{in_page}
ORDER BY {trouble_first}
LIMIT :limit

-- name: joined_page
-- Lists a page of the children whose first parent is another job.
SELECT {trouble}, {node} FROM hammerwork_jobs j
WHERE {is_other_child}
{in_page}
ORDER BY {trouble_first}
LIMIT :limit

-- name: archived_page
-- Lists a page of the children that are only in the archive.
SELECT {trouble}, {archived_node} FROM hammerwork_jobs_archive j
WHERE {is_archived_child} AND {is_only_archived}
{in_page}
ORDER BY {trouble_first}
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
