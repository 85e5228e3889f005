-- Jobs that wait for others, and their release when these have ended.

-- name: waiting_for [mysql]
-- Lists the jobs that wait for one of :ids.
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j
WHERE j.dependency_status = 'waiting' AND j.first_parent IN (:ids)
UNION
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j
JOIN JSON_TABLE(j.depends_on, '$[*]' COLUMNS (place FOR ORDINALITY, parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
WHERE j.dependency_status = 'waiting' AND j.parent_count > 1 AND e.place > 1 AND {as_id e.parent} IN (:ids)

-- name: waiting_for [sqlite]
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j
WHERE +j.dependency_status = 'waiting' AND {first_parent} {among}
UNION
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j JOIN json_each(j.depends_on) AS e
WHERE +j.dependency_status = 'waiting' AND json_array_length(j.depends_on) > 1 AND lower(e.value) {among}

-- name: waiting_for [postgresql]
-- Looks each id up in the index of first parents. The comparison of the state fits no index.
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM {first_children}
WHERE j.dependency_status = 'waiting'
UNION
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j
WHERE j.dependency_status || '' = 'waiting' AND {is_joined_child}

-- name: lock_waiting
-- Locks those of some jobs that wait, in the order of their ids.
SELECT id FROM hammerwork_jobs j {by_id} WHERE j.id {among} AND {waits} ORDER BY j.id
{lock_clause}

-- name: touch_waiting
-- Changes jobs that lock_waiting has locked, before their parents are counted, so that two parents that end at the same
-- time conflict here, on one server or on two.
UPDATE hammerwork_jobs {by_id} SET releases = {next_release} WHERE id {among}

-- name: statuses
-- Reads the statuses of parents, as they count for those that wait: see RECURRING in tree/queries/release.py.
SELECT j.id, CASE WHEN j.recurring AND j.status <> 'Completed' THEN 'recurring' ELSE j.status END
FROM hammerwork_jobs j WHERE j.id {among}

-- name: archived_statuses
-- Reads the statuses of archived jobs.
SELECT j.id, j.status FROM hammerwork_jobs_archive j WHERE j.id IN (:ids)

-- name: ignoring_workflows
-- Lists those of some workflows whose jobs run even after a dependency failed.
SELECT w.id FROM hammerwork_workflows w WHERE w.id IN (:ids) AND {failure_policy} = 'ignore_failures'

-- name: release
-- Lets jobs run that lock_waiting has locked. A job that a Rust worker claimed too early stays as it is, and the doctor
-- reports it.
UPDATE hammerwork_jobs {by_id} SET dependency_status = 'satisfied'
WHERE id {among} AND {releasable}

-- name: releasable
-- Whether a job that waited for others may take note that they have completed.
status NOT IN ('Running', 'Completed')

-- name: releasable [rust_3]
-- Version 3 of hammerwork (Rust) leaves those that have ended as they are.
status NOT IN ('Running', 'Completed', 'Failed', 'Dead', 'TimedOut')
