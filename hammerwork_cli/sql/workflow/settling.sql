-- Bringing the stored statuses of workflows up to date.

-- name: open
-- Lists the workflows that workers look at, after an id: running ones, and cancelled ones whose jobs may not all have
-- ended.
SELECT w.id, w.name, w.status, w.failure_policy, w.total_jobs, w.created_at FROM hammerwork_workflows w
WHERE w.status IN ('running', 'cancelled') AND (w.status = 'running' OR w.failed_at IS NULL)
/* if :after */ AND w.id > :after
ORDER BY w.id LIMIT :limit

-- name: lock
-- Locks a workflow before its jobs are counted, so that no job joins it between the count and the change.
SELECT w.status FROM hammerwork_workflows w WHERE w.id = :id
{lock_clause}

-- name: close
-- Writes how a workflow has ended.
UPDATE hammerwork_workflows SET status = :status, total_jobs = :total, completed_jobs = :completed,
failed_jobs = :failed, completed_at = :completed_at, failed_at = :failed_at
WHERE id = :id AND status = :seen

-- name: cancel
-- Marks a workflow cancelled. Workers cancel what its running jobs still spawn, until failed_at says that it has ended.
UPDATE hammerwork_workflows SET status = 'cancelled', completed_at = NULL, failed_at = NULL
WHERE id = :id AND status <> 'cancelled'
