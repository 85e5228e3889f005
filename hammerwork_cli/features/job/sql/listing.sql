-- Lists of jobs.

-- name: list
-- Lists the newest jobs after a cursor. hammerwork (Rust) has no index on created_at alone, so the table is scanned
-- once where 016 is missing; the wide columns are read only for the page. The order is that of the page: by the other
-- table, SQLite would read all of it and look each job up in the page.
SELECT {node},
j.scheduled_at, j.max_attempts, j.dependency_status, j.recurring, {enabled}
FROM hammerwork_jobs j JOIN (
SELECT j.id, j.created_at FROM hammerwork_jobs j
WHERE {filtered}
/* if :cursor_at */ AND j.created_at <= :cursor_at
/* if :cursor_at */ AND (j.created_at < :cursor_at OR j.id < :cursor_id)
ORDER BY j.created_at DESC, j.id DESC LIMIT :limit) AS p ON p.id = j.id
ORDER BY p.created_at DESC, p.id DESC

-- name: order
-- The order of a sorted list; jobs without a value come last.
/* if :created_at_up */ j.created_at,
/* if :created_at_down */ j.created_at DESC,
/* if :scheduled_at_up */ j.scheduled_at,
/* if :scheduled_at_down */ j.scheduled_at DESC,
/* if :started_at_up */ CASE WHEN j.started_at IS NULL THEN 1 ELSE 0 END, j.started_at,
/* if :started_at_down */ CASE WHEN j.started_at IS NULL THEN 1 ELSE 0 END, j.started_at DESC,
/* if :completed_at_up */ CASE WHEN j.completed_at IS NULL THEN 1 ELSE 0 END, j.completed_at,
/* if :completed_at_down */ CASE WHEN j.completed_at IS NULL THEN 1 ELSE 0 END, j.completed_at DESC,
/* if :failed_at_up */ CASE WHEN COALESCE(j.failed_at, j.timed_out_at) IS NULL THEN 1 ELSE 0 END, COALESCE(j.failed_at, j.timed_out_at),
/* if :failed_at_down */ CASE WHEN COALESCE(j.failed_at, j.timed_out_at) IS NULL THEN 1 ELSE 0 END, COALESCE(j.failed_at, j.timed_out_at) DESC,
/* if :priority_up */ j.priority,
/* if :priority_down */ j.priority DESC,
/* if :attempts_up */ j.attempts,
/* if :attempts_down */ j.attempts DESC,
/* if :queue_up */ j.queue_name,
/* if :queue_down */ j.queue_name DESC,
/* if :status_up */ {status j},
/* if :status_down */ {status j} DESC,
j.created_at DESC, j.id DESC

-- name: sorted
-- Lists the first jobs in another order than that of their creation. It looks at all jobs that fit.
SELECT {node},
j.scheduled_at, j.max_attempts, j.dependency_status, j.recurring, {enabled}
FROM hammerwork_jobs j JOIN (
SELECT j.id FROM hammerwork_jobs j
WHERE {filtered}
ORDER BY
{order}
LIMIT :limit) AS p ON p.id = j.id
ORDER BY
{order}

-- name: by_ids
-- Reads jobs by their ids, with the columns of the list.
SELECT {node},
j.scheduled_at, j.max_attempts, j.dependency_status, j.recurring, {enabled}
FROM hammerwork_jobs j WHERE j.id {among}

-- name: by_prefix
-- Lists the ids between the lowest and the highest with a prefix.
SELECT j.id FROM hammerwork_jobs j WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit

-- name: archived_by_prefix
-- Lists the ids of archived jobs between the lowest and the highest with a prefix.
SELECT j.id FROM hammerwork_jobs_archive j WHERE j.id >= :low AND j.id <= :high ORDER BY j.id LIMIT :limit
