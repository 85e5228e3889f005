-- Where the time of a tree went.

-- name: first_attempts
-- Lists the oldest recorded attempt of some jobs: its number and its start.
SELECT a.job_id, a.attempt, a.started_at FROM hammerwork_attempts a
WHERE a.job_id {among}
AND a.started_at = (SELECT MIN(m.started_at) FROM hammerwork_attempts m WHERE m.job_id = a.job_id)
