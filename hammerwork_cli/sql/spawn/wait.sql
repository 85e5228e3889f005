-- Jobs as waiting for a tree needs them: what they are in, not what they are.

-- name: state
-- The columns of queries.waiting.State, in order.
j.id, j.status, j.dependency_status, COALESCE(j.completed_at, j.failed_at, j.timed_out_at)

-- name: states
-- Jobs by id.
SELECT {state} FROM hammerwork_jobs j WHERE j.id {among}

-- name: archived_states
-- Archived jobs by id.
SELECT {state} FROM hammerwork_jobs_archive j WHERE j.id {among}

-- name: child_states
-- Children of some jobs.
SELECT {state} FROM hammerwork_jobs j WHERE {is_child}

-- name: joined_child_states [postgresql]
-- Children of some jobs of which none is the first parent.
SELECT {state} FROM hammerwork_jobs j
WHERE j.depends_on && CAST(:ids AS uuid[]) AND cardinality(j.depends_on) > 1

-- name: joined_child_states
-- Children of some jobs of which none is the first parent.
SELECT {state} FROM hammerwork_jobs j WHERE j.id IN (SELECT c.id FROM {joined_edges} AS c WHERE c.parent {among})

-- name: archived_child_states [by_first_parent]
-- Archived children of some jobs.
SELECT {state} FROM hammerwork_jobs_archive j WHERE {first_parent} {among}

-- name: archived_child_states
SELECT {state} FROM hammerwork_jobs_archive j WHERE j.id IN (SELECT c.id FROM {archived_edges} AS c WHERE c.parent {among})

-- name: spawners
-- Which of some jobs have children ahead of them.
SELECT j.id FROM hammerwork_jobs j WHERE j.id IN (:ids) AND {has_config}

-- name: waiting_parents
-- What some jobs wait for: the job, a parent and what became of it, and whether failures hold it.
SELECT j.id, {parent_text}, {parent_status}, COALESCE(w.failure_policy, 'fail_fast') FROM hammerwork_jobs j
{parents}
LEFT JOIN hammerwork_workflows w ON w.id = j.workflow_id
WHERE j.id IN (:ids) AND j.dependency_status = 'waiting' AND j.status IN (:waiting)

-- name: open_jobs
-- What some open jobs need to go on: when they may run, and who has them: a worker of ours, and how silent it is.
SELECT j.id, j.scheduled_at, j.max_attempts, j.dependency_status, NULL, NULL, NULL FROM hammerwork_jobs j WHERE j.id {among}

-- name: open_jobs [workers]
SELECT j.id, j.scheduled_at, j.max_attempts, j.dependency_status, w.name,
{silent_for}, w.lease_seconds
FROM hammerwork_jobs j LEFT JOIN hammerwork_workers w ON w.id = j.claimed_by AND {is_ours} AND w.ended_at IS NULL
WHERE j.id {among}

-- name: late_jobs
-- Those of some jobs that are not due yet, or wait for others.
SELECT j.id, j.scheduled_at, j.dependency_status FROM hammerwork_jobs j
WHERE j.id {among} AND (j.scheduled_at > :now OR j.dependency_status = 'waiting')

-- name: dependency_statuses
-- Whether some jobs wait, may run or were failed by others.
SELECT j.id, j.dependency_status FROM hammerwork_jobs j WHERE j.id IN (:ids)

-- name: error_endings
-- Where a traceback says what happened.
SELECT j.id, RIGHT(j.error_message, 500) FROM hammerwork_jobs j WHERE j.id IN (:ids)

-- name: error_endings [sqlite]
SELECT j.id, substr(j.error_message, -500) FROM hammerwork_jobs j WHERE j.id IN (:ids)
