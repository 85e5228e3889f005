-- Blockers: the jobs that others wait for.

-- name: of_jobs
-- Lists (job, parent, status of the parent, failure policy) for the waiting ones of some jobs.
SELECT j.id, {parent_text}, {parent_status}, COALESCE(w.failure_policy, 'fail_fast') FROM hammerwork_jobs j
{parents}
{archived_parents}
LEFT JOIN hammerwork_workflows w ON w.id = j.workflow_id
WHERE j.id IN (:ids) AND j.dependency_status = 'waiting' AND j.status IN (:waiting)
