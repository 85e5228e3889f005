-- Why jobs have not started or have failed.

-- name: dependency_statuses
-- Whether some jobs wait, may run or were failed by others.
SELECT j.id, j.dependency_status FROM hammerwork_jobs j WHERE j.id IN (:ids)

-- name: open_jobs
-- What some open jobs need to go on: when they may run, and who has them: a worker of ours, and how silent it is.
SELECT j.id, j.scheduled_at, j.max_attempts, j.dependency_status, NULL, NULL, NULL FROM hammerwork_jobs j WHERE j.id {among}

-- name: open_jobs [workers]
SELECT j.id, j.scheduled_at, j.max_attempts, j.dependency_status, w.name,
{silent_for}, w.lease_seconds
FROM hammerwork_jobs j LEFT JOIN hammerwork_workers w ON w.id = j.claimed_by AND {still_claimed} AND w.ended_at IS NULL
WHERE j.id {among}

-- name: late_jobs
-- Those of some jobs that are not due yet, or wait for others.
SELECT j.id, j.scheduled_at, j.dependency_status FROM hammerwork_jobs j
WHERE j.id {among} AND (j.scheduled_at > :now OR j.dependency_status = 'waiting')

-- name: error_endings
-- Where a traceback says what happened.
SELECT j.id, RIGHT(j.error_message, 500) FROM hammerwork_jobs j WHERE j.id IN (:ids)

-- name: error_endings [sqlite]
SELECT j.id, substr(j.error_message, -500) FROM hammerwork_jobs j WHERE j.id IN (:ids)
