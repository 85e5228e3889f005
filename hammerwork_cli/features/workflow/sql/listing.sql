-- Workflows and the counts of their jobs.

-- name: list
-- Lists workflows after a cursor, newest first.
SELECT {workflow} FROM hammerwork_workflows w WHERE TRUE
/* if :name */ AND {contains w.name :name}
/* if :since */ AND w.created_at >= :since
/* if :at */ AND w.created_at <= :at
/* if :at */ AND (w.created_at < :at OR w.id < :after)
ORDER BY w.created_at DESC, w.id DESC LIMIT :limit

-- name: one
-- Reads a workflow and its metadata.
SELECT {workflow}, w.metadata FROM hammerwork_workflows w WHERE w.id = :id

-- name: by_prefix
-- Lists the ids between the lowest and the highest with a prefix.
SELECT w.id FROM hammerwork_workflows w WHERE w.id >= :low AND w.id <= :high ORDER BY w.id LIMIT :limit

-- name: counts
-- Counts the jobs of workflows by the status that the rows hold and by whether they wait, and tells when the last ended.
SELECT j.workflow_id, j.status, j.dependency_status, COUNT(*), MAX({last_end}) FROM hammerwork_jobs j
WHERE j.workflow_id IN (:ids)
GROUP BY j.workflow_id, j.status, j.dependency_status

-- name: archived_counts
-- Counts the jobs of workflows that are only in the archive.
SELECT j.workflow_id, j.status, NULL, COUNT(*), MAX({last_end}) FROM hammerwork_jobs_archive j
WHERE j.workflow_id IN (:ids) AND {only_in_archive}
GROUP BY j.workflow_id, j.status

-- name: last_end
-- When job j ended. hammerwork (Rust) writes no end of some jobs that it declares dead, so their start has to do.
COALESCE(j.completed_at, j.failed_at, j.timed_out_at, j.started_at)

-- name: jobs
-- Lists the jobs of a workflow, failures first.
SELECT j.id FROM hammerwork_jobs j WHERE j.workflow_id = :id
ORDER BY CASE WHEN j.status IN (:failed) THEN 0 ELSE 1 END, j.created_at, j.id LIMIT :limit

-- name: archived_jobs
-- Lists the jobs of a workflow that are only in the archive.
SELECT j.id FROM hammerwork_jobs_archive j WHERE j.workflow_id = :id AND {only_in_archive}
ORDER BY j.created_at, j.id LIMIT :limit
