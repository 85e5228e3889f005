-- Blockers: the jobs that others wait for.

-- name: shown_status
-- The status of a parent as it is shown.
{status p}

-- name: shown_status [archive]
COALESCE({status p}, {status a})

-- name: of_jobs
-- Lists (job, parent, status of the parent, failure policy) for the waiting ones of some jobs.
SELECT j.id, {parent_text}, {shown_status}, COALESCE({failure_policy}, 'fail_fast') FROM hammerwork_jobs j
{parents}
{archived_parents}
LEFT JOIN hammerwork_workflows w ON w.id = j.workflow_id
WHERE j.id IN (:ids) AND j.dependency_status = 'waiting' AND j.status IN (:waiting)
