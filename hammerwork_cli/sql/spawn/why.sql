-- Why jobs have not started, or have failed.

-- name: dependency_statuses
-- Reads the dependency statuses of some jobs.
SELECT j.id, j.dependency_status FROM hammerwork_jobs j WHERE j.id IN (:ids)

-- name: open_jobs
-- Reads when some open jobs may run, which of our workers has each and for how long it has been silent, and the last
-- attempt that did not complete.
SELECT j.id, j.scheduled_at, j.max_attempts, j.dependency_status, NULL, NULL, NULL, {last_attempt}
FROM hammerwork_jobs j
{last_attempts}
WHERE j.id {among}

-- name: open_jobs [workers]
SELECT j.id, j.scheduled_at, j.max_attempts, j.dependency_status, w.name, {silent_for}, w.lease_seconds, {last_attempt}
FROM hammerwork_jobs j LEFT JOIN hammerwork_workers w ON w.id = j.claimed_by AND {still_claimed} AND w.ended_at IS NULL
{last_attempts}
WHERE j.id {among}

-- name: last_attempt
-- Number, outcome, start and worker of the last attempt at job j that did not complete.
NULL, NULL, NULL, NULL

-- name: last_attempt [attempts]
h.attempt, h.outcome, h.started_at, lw.name

-- name: last_attempts
-- Joins the last attempt at job j that did not complete.

-- name: last_attempts [attempts]
LEFT JOIN hammerwork_attempts h ON h.job_id = j.id
AND h.started_at = (SELECT MAX(m.started_at) FROM hammerwork_attempts m WHERE m.job_id = j.id)
LEFT JOIN hammerwork_workers lw ON lw.id = h.worker_id

-- name: late_jobs
-- Lists those of some jobs that are not due or wait for others.
SELECT j.id, j.scheduled_at, j.dependency_status FROM hammerwork_jobs j
WHERE j.id {among} AND (j.scheduled_at > :now OR j.dependency_status = 'waiting')

-- name: error_endings
-- Reads the ends of error messages, where a traceback names the error.
SELECT j.id, RIGHT(j.error_message, 500) FROM hammerwork_jobs j WHERE j.id IN (:ids)

-- name: error_endings [sqlite]
SELECT j.id, substr(j.error_message, -500) FROM hammerwork_jobs j WHERE j.id IN (:ids)
