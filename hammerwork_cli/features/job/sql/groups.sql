-- Workflows and batches whose jobs end, where version 3 of hammerwork (Rust) uses the database.

-- name: of
-- Lists the workflows and batches of some jobs, NULL for jobs without. A condition on these columns could let the planner
-- read their indexes.
SELECT DISTINCT j.workflow_id, j.batch_id FROM hammerwork_jobs j {by_id} WHERE j.id {among}

-- name: lock_workflows
-- Locks workflows before their dependents, as version 3 does.
SELECT w.id, w.status, {failure_policy} FROM hammerwork_workflows w WHERE w.id IN (:ids) ORDER BY w.id
{lock_clause}

-- name: lock_batches
-- Locks batches after everything else.
SELECT b.id, b.status, b.failure_mode FROM hammerwork_batches b WHERE b.id IN (:ids) ORDER BY b.id
{lock_clause}

-- name: lock_waiting
-- Locks the jobs of a workflow or a batch that have not started.
SELECT j.id FROM hammerwork_jobs j WHERE j.status IN (:statuses)
/* if :workflow */ AND j.workflow_id = :workflow
/* if :batch */ AND j.batch_id = :batch
ORDER BY j.id
{lock_clause}

-- name: has_open
-- Tells whether a job of a batch has not ended. Until then nobody counts them: there may be many.
SELECT 1 FROM hammerwork_jobs j WHERE j.batch_id = :batch AND j.status IN (:statuses) LIMIT 1

-- name: counts
-- Counts the jobs of a workflow or a batch by the status that the rows hold.
SELECT j.status, COUNT(*) FROM hammerwork_jobs j WHERE TRUE
/* if :workflow */ AND j.workflow_id = :workflow
/* if :batch */ AND j.batch_id = :batch
GROUP BY j.status

-- name: archived_counts
-- Counts those that are only in the archive.
SELECT j.status, COUNT(*) FROM hammerwork_jobs_archive j WHERE {only_in_archive}
/* if :workflow */ AND j.workflow_id = :workflow
/* if :batch */ AND j.batch_id = :batch
GROUP BY j.status

-- name: any_completed_since
-- Selects a row if a job of a workflow or a batch has completed after a time.
SELECT 1 FROM hammerwork_jobs j WHERE j.completed_at > :since
/* if :workflow */ AND j.workflow_id = :workflow
/* if :batch */ AND j.batch_id = :batch
LIMIT 1

-- name: any_archived_completed_since
-- Selects a row if one in the archive has.
SELECT 1 FROM hammerwork_jobs_archive j WHERE j.completed_at > :since
/* if :workflow */ AND j.workflow_id = :workflow
/* if :batch */ AND j.batch_id = :batch
LIMIT 1

-- name: write_workflow
-- Writes the counters of a workflow, and how it has ended.
UPDATE hammerwork_workflows SET status = :status, completed_jobs = :completed, failed_jobs = :failed,
completed_at = :completed_at, failed_at = :failed_at
WHERE id = :id

-- name: begin_batch
-- Writes that the first job of a batch has ended.
UPDATE hammerwork_batches SET status = 'Processing' WHERE id = :id

-- name: end_batch
-- Writes how a batch has ended.
UPDATE hammerwork_batches SET status = :status, completed_jobs = :completed, failed_jobs = :failed, pending_jobs = 0,
completed_at = :now WHERE id = :id
