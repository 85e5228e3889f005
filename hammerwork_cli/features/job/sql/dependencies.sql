-- The dependents of jobs that an operator changes.

-- name: affected
-- Whether job j is in one of the given states of dependency and statuses. With :failing, it must fail with a dependency: its
-- workflow leaves no decision to people, and does not ignore failures.
{in_state} AND j.status IN (:statuses)
/* if :failing */ AND NOT EXISTS (SELECT 1 FROM hammerwork_workflows w
/* if :failing */ WHERE w.id = j.workflow_id AND w.failure_policy = 'manual')

-- name: in_state
-- Whether job j is in one of the given states of dependency.
j.dependency_status IN (:states)

-- name: in_state [postgresql]
-- In words that fit no index: nearly all jobs may be in such a state.
j.dependency_status || '' IN (:states)

-- name: dependents [postgresql]
-- Lists (parent, dependent) for some parents and their dependents in a given state.
SELECT e.parent, j.id FROM {first_children}
WHERE {affected}
UNION ALL
SELECT e.parent, j.id FROM hammerwork_jobs j CROSS JOIN LATERAL unnest(j.depends_on[2:]) AS e (parent)
WHERE {affected}
AND {is_joined_child} AND e.parent {among}

-- name: dependents [mysql]
SELECT j.first_parent, j.id FROM hammerwork_jobs j
WHERE {affected}
AND j.first_parent IN (:ids)
UNION ALL
SELECT {as_id e.parent}, j.id FROM hammerwork_jobs j
JOIN JSON_TABLE(j.depends_on, '$[*]' COLUMNS (place FOR ORDINALITY, parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
WHERE {affected}
AND j.parent_count > 1 AND e.place > 1 AND {as_id e.parent} IN (:ids)

-- name: dependents [sqlite]
SELECT lower(e.value), j.id FROM hammerwork_jobs j JOIN json_each(j.depends_on) AS e
WHERE {affected}
AND lower(e.value) {among}

-- name: spawned_early
-- Lists the children that some jobs spawned early and that have not started, with the run they belong to. Children in a
-- workflow whose jobs do not fail with their dependencies are left out.
SELECT c.parent_id, c.child_id, c.occurrence, j.status, j.recurring, j.next_run_at FROM hammerwork_spawned_children c
JOIN hammerwork_jobs j ON j.id = c.parent_id JOIN hammerwork_jobs k ON k.id = c.child_id
WHERE c.parent_id {among} AND k.status IN (:statuses)
AND NOT EXISTS (SELECT 1 FROM hammerwork_workflows w WHERE w.id = k.workflow_id AND w.failure_policy = 'manual')

-- name: fail
-- Fails jobs whose dependency failed for good, or whose parent failed after spawning them early.
UPDATE hammerwork_jobs {by_id} SET status = 'Failed', failed_at = :now, error_message = :error,
dependency_status = 'failed' {unleased}
WHERE id IN (:ids) AND status IN (:statuses)

-- name: join_workflows
-- Reads the statuses of workflows, and lets no worker write before the end of the transaction that they have ended.
-- Other transactions may join them meanwhile.
SELECT w.id, w.status FROM hammerwork_workflows w WHERE w.id IN (:ids) ORDER BY w.id
{joining}

-- name: joining [postgresql]
-- Locks rows for all who join.
FOR KEY SHARE

-- name: joining [mysql]
LOCK IN SHARE MODE

-- name: joining [sqlite]
-- A write transaction of SQLite is the only one from its start.

-- name: reopen_workflows
-- Lets workflows run again that have ended.
UPDATE hammerwork_workflows SET status = 'running', completed_at = NULL, failed_at = NULL
WHERE id IN (:ids) AND status IN ('completed', 'failed')

-- name: rerun_workflows
-- Lets workflows run again whose jobs were retried. Their failures so far count as dealt with, so that only later ones
-- make the rest fail.
UPDATE hammerwork_workflows SET status = 'running', completed_at = NULL, failed_at = NULL,
failed_jobs = CASE WHEN failure_policy IN ('fail_fast', 'continue_on_failure') THEN (
SELECT COUNT(*) FROM hammerwork_jobs j WHERE j.workflow_id = hammerwork_workflows.id AND j.status IN (:failed)
) + {failed_in_archive} ELSE failed_jobs END
WHERE id IN (:workflows)

-- name: failed_in_archive
-- The number of failed jobs of a workflow that are only in the archive.
(SELECT COUNT(*) FROM hammerwork_jobs_archive j WHERE j.workflow_id = hammerwork_workflows.id
AND j.status IN (:failed) AND {only_in_archive})

-- name: to_await_again
-- Locks those of some joins that failed with a job, or that were released and have not started.
SELECT j.id, {ancestry}, j.status, j.recurring, j.workflow_id FROM hammerwork_jobs j {by_id} WHERE j.id IN (:ids) AND ((j.status IN (:failed) AND j.dependency_status = 'failed')
OR (j.status IN (:pending) AND j.dependency_status = 'satisfied' AND j.attempts = 0)) ORDER BY j.id
{lock_clause}

-- name: await_again
-- Lets joins wait again.
UPDATE hammerwork_jobs {by_id} SET status = 'Pending', dependency_status = 'waiting', attempts = 0, failed_at = NULL,
error_message = NULL {unleased}
WHERE id IN (:ids)
