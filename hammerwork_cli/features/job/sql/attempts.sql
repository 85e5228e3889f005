-- Attempts that did not complete.

-- name: record
-- Records attempts. A start that is there is that of the same attempt.
INSERT INTO hammerwork_attempts (job_id, started_at, ended_at, attempt, outcome, worker_id, error_message)
VALUES :rows
ON CONFLICT DO NOTHING

-- name: record [mysql]
INSERT INTO hammerwork_attempts (job_id, started_at, ended_at, attempt, outcome, worker_id, error_message)
VALUES :rows
ON DUPLICATE KEY UPDATE job_id = hammerwork_attempts.job_id

-- name: surplus
-- Lists those of some jobs that have more than :kept attempts, with the start of the newest one that is too many.
SELECT a.job_id, a.started_at FROM
(SELECT r.job_id, r.started_at, ROW_NUMBER() OVER (PARTITION BY r.job_id ORDER BY r.started_at DESC) AS place
FROM hammerwork_attempts r WHERE r.job_id {among}) AS a
WHERE :kept + 1 = a.place

-- name: forget_surplus [postgresql]
-- Deletes the attempts of each job up to a start.
DELETE FROM hammerwork_attempts a USING json_to_recordset(CAST(:surplus AS json)) AS s (job uuid, started timestamptz)
WHERE a.job_id = s.job AND a.started_at <= s.started

-- name: forget_surplus [mysql]
-- Jobs are looked up by their keys: a scan would wait for every row that another worker has just written.
DELETE a FROM JSON_TABLE(:surplus, '$[*]' COLUMNS (job CHAR(36) CHARACTER SET utf8mb4 PATH '$.job',
started DATETIME(6) PATH '$.started')) AS s
STRAIGHT_JOIN hammerwork_attempts a FORCE INDEX (PRIMARY) ON a.job_id = {as_id s.job} AND a.started_at <= s.started

-- name: forget_surplus [sqlite]
DELETE FROM hammerwork_attempts WHERE rowid IN (SELECT a.rowid FROM json_each(:surplus) AS s
CROSS JOIN hammerwork_attempts a ON a.job_id = s.value ->> 'job' AND a.started_at <= s.value ->> 'started')

-- name: of_jobs
-- Lists the attempts of some jobs that did not complete, the oldest first.
SELECT r.job_id, r.started_at, r.ended_at, r.attempt, r.outcome, r.worker_id, r.error_message, w.name
FROM hammerwork_attempts r LEFT JOIN hammerwork_workers w ON w.id = r.worker_id
WHERE r.job_id {among}
ORDER BY r.job_id, r.started_at

-- name: last
-- Lists the last attempt of each of some jobs, without the error. Not by a join with the newest start, for which
-- PostgreSQL reads the whole history.
SELECT a.job_id, a.started_at, a.ended_at, a.attempt, a.outcome, a.worker_id, NULL, w.name FROM
(SELECT r.job_id, r.started_at, r.ended_at, r.attempt, r.outcome, r.worker_id,
ROW_NUMBER() OVER (PARTITION BY r.job_id ORDER BY r.started_at DESC) AS place
FROM hammerwork_attempts r WHERE r.job_id {among}) AS a
LEFT JOIN hammerwork_workers w ON w.id = a.worker_id
WHERE 1 = a.place
