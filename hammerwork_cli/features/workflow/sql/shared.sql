-- Fragments that the statements of workflow/ share.

-- name: workflow
-- The columns of workflow.model.StoredWorkflow, in order.
w.id, w.name, w.status, {failure_policy}, w.total_jobs, w.created_at
