-- Ending jobs and giving them back.

-- name: complete
-- Ends jobs that a worker holds: Completed.
UPDATE hammerwork_jobs SET status = 'Completed', completed_at = :now, error_message = NULL
WHERE id {among} AND {claimed}

-- name: store_results [postgresql]
-- What handlers returned, of jobs that we completed just now.
UPDATE hammerwork_jobs j SET result_data = CAST(r.result AS jsonb), result_stored_at = :now,
result_expires_at = CAST(r.expires AS timestamptz)
FROM json_to_recordset(CAST(:results AS json)) AS r (id uuid, result text, expires text)
WHERE j.id = r.id AND j.claim_token = :token AND j.status IN ('Completed', 'Pending')

-- name: store_results [mysql]
-- Without its name the character set would be that of the database, and what is not in it a question mark.
UPDATE hammerwork_jobs j
JOIN JSON_TABLE(:results, '$[*]' COLUMNS (id CHAR(36) CHARACTER SET utf8mb4 PATH '$.id',
result LONGTEXT CHARACTER SET utf8mb4 PATH '$.result',
expires VARCHAR(40) CHARACTER SET utf8mb4 PATH '$.expires')) AS r ON j.id = {as_id r.id}
SET j.result_data = r.result, j.result_stored_at = :now, j.result_expires_at = r.expires
WHERE j.claim_token = :token AND j.status IN ('Completed', 'Pending')

-- name: store_results [sqlite]
UPDATE hammerwork_jobs SET result_data = r.value ->> 'result', result_stored_at = :now,
result_expires_at = r.value ->> 'expires'
FROM json_each(:results) AS r
WHERE hammerwork_jobs.id = r.value ->> 'id' AND claim_token = :token AND status IN ('Completed', 'Pending')

-- name: schedule_next_run
-- The next run of a recurring job, on the same row. Its worker has outlived this one.
UPDATE hammerwork_jobs SET status = 'Pending', attempts = 0, scheduled_at = :at, next_run_at = :at, started_at = NULL,
completed_at = NULL, failed_at = NULL, timed_out_at = NULL, claim_losses = NULL, error_message = :error,
claimed_by = NULL, claimed_at = NULL
WHERE id = :id AND {claimed}

-- name: retry
-- Another attempt, later, of whoever takes it. The token stays, as after the job's end.
UPDATE hammerwork_jobs SET status = 'Pending', scheduled_at = :at, started_at = NULL, error_message = :error,
claimed_by = NULL, claimed_at = NULL
WHERE id = :id AND {claimed}

-- name: mark_dead
-- The end of a job that failed for good.
UPDATE hammerwork_jobs SET status = :status, failed_at = :failed_at, timed_out_at = :timed_out_at,
error_message = :error
WHERE id = :id AND {claimed}

-- name: lock_free
-- Those of some jobs whose rows no other transaction holds, locked.
SELECT id FROM hammerwork_jobs WHERE id {among}
{skip_locked}

-- name: give_back
-- Claimed and not started: as if it had never been.
UPDATE hammerwork_jobs SET status = 'Pending', attempts = attempts - 1, started_at = NULL, claim_token = NULL,
claimed_by = NULL, claimed_at = NULL
WHERE id {among} AND {claimed}

-- name: give_back_running
-- The same of one that runs, whose worker ends at once. The token stays, as after the job's end.
UPDATE hammerwork_jobs SET status = 'Pending', attempts = attempts - 1, started_at = NULL, claimed_by = NULL,
claimed_at = NULL
WHERE id = :id AND {claimed}

-- name: claimed_by
-- Which jobs a worker has as the database knows it.
SELECT id FROM hammerwork_jobs WHERE {of_this_worker}

-- name: give_back_unknown
-- Gives back jobs that the database says a worker has and that it knows nothing of.
UPDATE hammerwork_jobs SET status = 'Pending', attempts = attempts - 1, started_at = NULL, claim_token = NULL,
claimed_by = NULL, claimed_at = NULL
WHERE id {among} AND {of_this_worker}

-- name: outcomes
-- What became of jobs that a guarded change did not find.
SELECT id, status, claim_token, scheduled_at, COALESCE(completed_at, failed_at, timed_out_at)
FROM hammerwork_jobs WHERE id {among}
