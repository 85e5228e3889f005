-- Ending jobs, and giving them back.

-- name: complete
-- Completes jobs that a worker has claimed.
UPDATE hammerwork_jobs {by_id} SET status = 'Completed', completed_at = :now, error_message = NULL,
run_started_at = :start {unleased}
WHERE id {among} AND {claimed}

-- name: complete_each [postgresql]
-- Completes jobs that a worker has claimed, with the start of the handler of each. Not a join: without statistics,
-- PostgreSQL would read the whole table for it.
UPDATE hammerwork_jobs SET status = 'Completed', completed_at = :now, error_message = NULL,
run_started_at = (CAST(:starts AS timestamptz[]))[array_position(CAST(:ids AS uuid[]), id)] {unleased}
WHERE id {among} AND {claimed}

-- name: complete_each [mysql]
-- A join with a JSON_TABLE would take a temporary table.
UPDATE hammerwork_jobs {by_id} SET status = 'Completed', completed_at = :now, error_message = NULL,
run_started_at = ELT(FIELD(id, :ids), :starts) {unleased}
WHERE id {among} AND {claimed}

-- name: complete_each [sqlite]
UPDATE hammerwork_jobs SET status = 'Completed', completed_at = :now, error_message = NULL,
run_started_at = r.value {unleased}
FROM json_each(:starts) AS r
WHERE hammerwork_jobs.id = r.key AND {claimed}

-- name: store_results [postgresql]
-- Stores the results of jobs that the worker has just completed.
UPDATE hammerwork_jobs j SET result_data = CAST(r.result AS jsonb), result_stored_at = :now,
result_expires_at = CAST(r.expires AS timestamptz)
FROM json_to_recordset(CAST(:results AS json)) AS r (id uuid, result text, expires text)
WHERE j.id = r.id AND j.claim_token = :token AND j.status IN ('Completed', 'Pending')

-- name: store_results [mysql]
-- Without a named character set, that of the database would apply, and other characters would become question marks.
UPDATE JSON_TABLE(:results, '$[*]' COLUMNS (id CHAR(36) CHARACTER SET utf8mb4 PATH '$.id',
result LONGTEXT CHARACTER SET utf8mb4 PATH '$.result',
expires VARCHAR(40) CHARACTER SET utf8mb4 PATH '$.expires')) AS r
STRAIGHT_JOIN hammerwork_jobs j {by_id} ON j.id = {as_id r.id}
SET j.result_data = r.result, j.result_stored_at = :now, j.result_expires_at = r.expires
WHERE j.claim_token = :token AND j.status IN ('Completed', 'Pending')

-- name: store_results [sqlite]
UPDATE hammerwork_jobs SET result_data = r.value ->> 'result', result_stored_at = :now,
result_expires_at = r.value ->> 'expires'
FROM json_each(:results) AS r
WHERE hammerwork_jobs.id = r.value ->> 'id' AND claim_token = :token AND status IN ('Completed', 'Pending')

-- name: schedule_next_run
-- Schedules the next occurrence of a recurring job on the same row.
UPDATE hammerwork_jobs SET status = 'Pending', attempts = 0, scheduled_at = :at, next_run_at = :at, started_at = NULL,
claim_losses = NULL, error_message = :error, claimed_by = NULL, claimed_at = NULL {unleased}
WHERE id = :id AND {claimed}

-- name: retry
-- Schedules another attempt, for any worker. The token stays on the row.
UPDATE hammerwork_jobs SET status = 'Pending', scheduled_at = :at, started_at = NULL, error_message = :error,
claimed_by = NULL, claimed_at = NULL {unleased}
/* if :timed_out_at */ , timed_out_at = :timed_out_at
WHERE id = :id AND {claimed}

-- name: discard
-- Ends a job that failed for good.
UPDATE hammerwork_jobs SET status = :status, failed_at = :failed_at, timed_out_at = :timed_out_at,
error_message = :error {unleased}
/* if :run_start */ , run_started_at = :run_start
WHERE id = :id AND {claimed}

-- name: lock_free
-- Locks those of some jobs that no other transaction has locked.
SELECT id FROM hammerwork_jobs {by_id} WHERE id {among}
{skip_locked}

-- name: give_back
-- Gives back jobs that were claimed and not started, as if nobody had claimed them.
UPDATE hammerwork_jobs {by_id} SET status = 'Pending', attempts = attempts - 1, started_at = NULL, claim_token = NULL,
claimed_by = NULL, claimed_at = NULL {unleased}
WHERE id {among} AND {claimed}

-- name: snooze
-- Lets a job run again later, as its handler wants; the attempt does not count. The token stays on the row.
UPDATE hammerwork_jobs SET status = 'Pending', scheduled_at = :at, attempts = attempts - 1, started_at = NULL,
claimed_by = NULL, claimed_at = NULL {unleased}
WHERE id = :id AND {claimed}

-- name: give_back_running
-- Gives back a running job whose worker has to stop at once. The token stays on the row.
UPDATE hammerwork_jobs SET status = 'Pending', attempts = attempts - 1, started_at = NULL, claimed_by = NULL,
claimed_at = NULL {unleased}
WHERE id = :id AND {claimed}

-- name: claimed_by
-- Lists the jobs that a worker has, according to the database, with their claims.
SELECT id, claim_token FROM hammerwork_jobs WHERE {of_this_worker}

-- name: give_back_unknown
-- Gives back jobs that a worker has according to the database, but does not know.
UPDATE hammerwork_jobs {by_id} SET status = 'Pending', attempts = attempts - 1, started_at = NULL, claim_token = NULL,
claimed_by = NULL, claimed_at = NULL {unleased}
WHERE id {among} AND {of_this_worker}

-- name: outcomes
-- Reads the present states of jobs that a guarded change did not find.
SELECT id, status, claim_token, claimed_by, scheduled_at, COALESCE(completed_at, failed_at, timed_out_at)
FROM hammerwork_jobs WHERE id {among}

-- name: taken
-- Reads what has become of jobs that a worker had.
SELECT j.id, {status j}, j.error_message FROM hammerwork_jobs j WHERE j.id {among}
