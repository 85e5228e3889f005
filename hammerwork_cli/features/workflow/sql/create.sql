-- New workflows.

-- name: insert
-- Inserts a workflow unless its id exists.
INSERT INTO hammerwork_workflows (id, name, status, created_at, total_jobs, failure_policy, metadata)
VALUES (:id, :name, 'running', :now, :total, :policy, :metadata)
{unless_it_exists hammerwork_workflows}

-- name: stored
-- Reads what a second creation with the same id is compared with.
SELECT w.name, {failure_policy}, w.total_jobs FROM hammerwork_workflows w WHERE w.id = :id

-- name: delete
-- Deletes the row of a workflow without jobs.
DELETE FROM hammerwork_workflows WHERE id = :id
AND NOT EXISTS (SELECT 1 FROM hammerwork_jobs j WHERE j.workflow_id = :id)
