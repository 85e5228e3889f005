-- Bringing the stored statuses of workflows up to date.

-- name: open
-- Lists the workflows that workers look at, after an id: running ones, and cancelled ones whose jobs may not all have
-- ended.
SELECT {workflow}, w.failed_jobs FROM hammerwork_workflows w
WHERE w.status IN ('running', 'cancelled') AND (w.status = 'running' OR w.failed_at IS NULL)
/* if :after */ AND w.id > :after
ORDER BY w.id LIMIT :limit

-- name: failed
-- Lists the failed jobs of a workflow after an id.
SELECT j.id FROM hammerwork_jobs j WHERE j.workflow_id = :id AND j.status IN (:failed)
/* if :after */ AND j.id > :after
ORDER BY j.id LIMIT :limit

-- name: seen
-- Reads the status of a workflow, and how many failures its policy has dealt with.
SELECT w.status, w.failed_jobs FROM hammerwork_workflows w WHERE w.id = :id

-- name: lock
-- Reads the same, and lets no job join or be retried until the end of the transaction.
SELECT w.status, w.failed_jobs FROM hammerwork_workflows w WHERE w.id = :id
{lock_clause}

-- name: deal
-- Writes how many failures the policy of a workflow has dealt with.
UPDATE hammerwork_workflows SET failed_jobs = :failed WHERE id = :id

-- name: close
-- Writes how a workflow has ended.
UPDATE hammerwork_workflows SET status = :status, total_jobs = :total, completed_jobs = :completed,
failed_jobs = :failed, completed_at = :completed_at, failed_at = :failed_at
WHERE id = :id AND status = :seen

-- name: cancel
-- Marks a workflow cancelled. Workers cancel what its running jobs still spawn, until failed_at says that it has ended.
UPDATE hammerwork_workflows SET status = 'cancelled', completed_at = NULL, failed_at = NULL
WHERE id = :id AND status <> 'cancelled'
