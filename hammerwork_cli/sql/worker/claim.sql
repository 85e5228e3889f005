-- What workers do to jobs: take them, end them, give them back. j is the job.

-- name: skip_locked
FOR UPDATE SKIP LOCKED

-- name: skip_locked [sqlite]
-- Its write transactions are alone from their start.

-- name: unpaused
TRUE

-- name: unpaused [pause]
NOT EXISTS (SELECT 1 FROM hammerwork_queue_pause p WHERE {same p.queue_name :queue})

-- name: claimable
j.status = 'Pending' AND (j.dependency_status IS NULL OR j.dependency_status IN ('none', 'satisfied'))

-- name: claimable [mysql]
-- The column makes an index possible in which jobs that wait for others are not in the way.
j.claimable = 1

-- name: ready
-- The jobs of a queue that may run now, the most urgent first, locked.
SELECT {claimed} FROM hammerwork_jobs j
WHERE {same j.queue_name :queue} AND {claimable} AND j.scheduled_at <= :now AND {unarchived}
AND {unpaused}
AND j.priority = :priority -- when :priority
ORDER BY j.priority DESC, j.scheduled_at LIMIT :limit
{skip_locked}

-- name: take
-- Makes locked jobs those of a worker. The token stays on the row after the job has ended.
UPDATE hammerwork_jobs SET status = 'Running', attempts = attempts + 1, started_at = :now, completed_at = NULL,
failed_at = NULL, timed_out_at = NULL, claim_token = :token, claimed_by = :worker, claimed_at = :now
WHERE id {among}

-- name: held
-- The guard of every change that a worker makes: the claim is still ours.
claim_token = :token AND status = 'Running' AND started_at = :started

-- name: of_this_worker
-- Whether a worker has the job: a Rust worker that took it has written another start. The last version of ours wrote no
-- time of the claim.
status = 'Running' AND claimed_by = :worker AND (claimed_at = started_at OR claimed_at IS NULL)

-- name: complete
-- Ends jobs that a worker holds: Completed.
UPDATE hammerwork_jobs SET status = 'Completed', completed_at = :now, error_message = NULL
WHERE id {among} AND {held}

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

-- name: recur
-- The next run of a recurring job, on the same row. Its worker has outlived this one.
UPDATE hammerwork_jobs SET status = 'Pending', attempts = 0, scheduled_at = :at, next_run_at = :at, started_at = NULL,
completed_at = NULL, failed_at = NULL, timed_out_at = NULL, claim_losses = NULL, error_message = :error,
claimed_by = NULL, claimed_at = NULL
WHERE id = :id AND {held}

-- name: reschedule
-- Another attempt, later, of whoever takes it. The token stays, as after the job's end.
UPDATE hammerwork_jobs SET status = 'Pending', scheduled_at = :at, started_at = NULL, error_message = :error,
claimed_by = NULL, claimed_at = NULL
WHERE id = :id AND {held}

-- name: bury
-- The end of a job that failed for good.
UPDATE hammerwork_jobs SET status = :status, failed_at = :failed_at, timed_out_at = :timed_out_at,
error_message = :error
WHERE id = :id AND {held}

-- name: unlocked
-- Those of some jobs whose rows no other transaction holds, locked.
SELECT id FROM hammerwork_jobs WHERE id {among}
{skip_locked}

-- name: give_back
-- Claimed and not started: as if it had never been.
UPDATE hammerwork_jobs SET status = 'Pending', attempts = attempts - 1, started_at = NULL, claim_token = NULL,
claimed_by = NULL, claimed_at = NULL
WHERE id {among} AND {held}

-- name: return_stopped
-- The same of one that runs, whose worker ends at once. The token stays, as after the job's end.
UPDATE hammerwork_jobs SET status = 'Pending', attempts = attempts - 1, started_at = NULL, claimed_by = NULL,
claimed_at = NULL
WHERE id = :id AND {held}

-- name: had_by
-- Which jobs a worker has as the database knows it.
SELECT id FROM hammerwork_jobs WHERE {of_this_worker}

-- name: give_back_unknown
-- Gives back jobs that the database says a worker has and that it knows nothing of.
UPDATE hammerwork_jobs SET status = 'Pending', attempts = attempts - 1, started_at = NULL, claim_token = NULL,
claimed_by = NULL, claimed_at = NULL
WHERE id {among} AND {of_this_worker}

-- name: whose
-- What became of jobs that a guarded change did not find.
SELECT id, status, claim_token, scheduled_at, COALESCE(completed_at, failed_at, timed_out_at)
FROM hammerwork_jobs WHERE id {among}

-- name: touch
-- A real change of a job that we hold, so that whatever else changes it, on any node, conflicts with us.
UPDATE hammerwork_jobs SET releases = COALESCE(releases, 0) + 1 WHERE id = :id AND {held}

-- name: of_worker
-- Jobs that a worker holds, locked. Those whose rows another transaction holds come later.
SELECT id, attempts, max_attempts, recurring, cron_schedule, timezone, next_run_at FROM hammerwork_jobs
WHERE {of_this_worker}
ORDER BY id LIMIT :limit
{skip_locked}

-- name: return_lost
-- Jobs of a lost worker that have attempts left.
UPDATE hammerwork_jobs SET status = 'Pending', started_at = NULL, claim_token = NULL, claimed_by = NULL,
claimed_at = NULL, claim_losses = COALESCE(claim_losses, 0) + 1, error_message = :error
WHERE id {among} AND {of_this_worker}

-- name: recur_lost
-- The next run of recurring jobs whose worker was lost in their last attempt.
UPDATE hammerwork_jobs SET status = 'Pending', attempts = 0, scheduled_at = :at, next_run_at = :at, started_at = NULL,
claim_token = NULL, claimed_by = NULL, claimed_at = NULL, claim_losses = COALESCE(claim_losses, 0) + 1,
error_message = :error
WHERE id {among} AND {of_this_worker}

-- name: bury_lost
-- Ends other jobs whose worker is lost and that have no attempt left: Dead.
UPDATE hammerwork_jobs SET status = 'Dead', failed_at = :now, claim_token = NULL,
claim_losses = COALESCE(claim_losses, 0) + 1, error_message = :error
WHERE id {among} AND {of_this_worker}

-- name: waiting_on [postgresql]
-- Jobs that wait for one of :ids.
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j
WHERE j.dependency_status = 'waiting' AND j.depends_on && CAST(:ids AS uuid[])

-- name: waiting_on [postgresql jsonb]
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j
WHERE j.dependency_status = 'waiting' AND j.id IN (SELECT c.id FROM {edges} AS c WHERE c.parent {among})

-- name: waiting_on [mysql]
SELECT DISTINCT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j
JOIN JSON_TABLE(j.depends_on, '$[*]' COLUMNS (parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
WHERE j.dependency_status = 'waiting' AND {as_id e.parent} IN (:ids)

-- name: waiting_on [mysql indexed]
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j
WHERE j.dependency_status = 'waiting' AND j.first_parent IN (:ids)
UNION
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j
JOIN JSON_TABLE(j.depends_on, '$[*]' COLUMNS (place FOR ORDINALITY, parent CHAR(36) CHARACTER SET utf8mb4 PATH '$')) AS e
WHERE j.dependency_status = 'waiting' AND j.parent_count > 1 AND e.place > 1 AND {as_id e.parent} IN (:ids)

-- name: waiting_on [sqlite]
SELECT DISTINCT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j JOIN json_each(j.depends_on) AS e
WHERE j.dependency_status = 'waiting' AND e.value {among}

-- name: lock_waiting
-- Those of some jobs that wait, locked in the order of their ids.
SELECT id FROM hammerwork_jobs j WHERE j.id {among} AND j.dependency_status = 'waiting' ORDER BY j.id
{lock_clause}

-- name: stamp
-- Really changed before its parents are counted: two parents that end at once then meet here, on one server or on two.
UPDATE hammerwork_jobs SET releases = COALESCE(releases, 0) + 1 WHERE id {among} AND dependency_status = 'waiting'

-- name: statuses
-- Which status some jobs are in, as far as others wait for it; see queries.dependencies.RECURRING.
SELECT j.id, CASE WHEN j.recurring AND j.status <> 'Completed' THEN 'recurring' ELSE j.status END
FROM hammerwork_jobs j WHERE j.id {among}

-- name: release
-- Lets waiting jobs run. One that a Rust worker took all the same stays as it is: the doctor tells that it ran early.
UPDATE hammerwork_jobs SET dependency_status = 'satisfied'
WHERE id {among} AND dependency_status = 'waiting' AND status NOT IN ('Running', 'Completed')

-- name: waiting_on [sqlite indexed]
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j
WHERE +j.dependency_status = 'waiting' AND {first_parent} {among}
UNION
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j JOIN json_each(j.depends_on) AS e
WHERE +j.dependency_status = 'waiting' AND json_array_length(j.depends_on) > 1 AND lower(e.value) {among}

-- name: waiting_on [postgresql indexed]
-- One look into the index of first parents for each id, whatever the planner thinks of many waiting jobs: OFFSET keeps
-- it from joining otherwise, and the state is compared so that no index of it serves.
SELECT j.* FROM unnest(CAST(:ids AS uuid[])) AS e (parent)
CROSS JOIN LATERAL (SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j
WHERE j.depends_on[1] = e.parent AND j.dependency_status || '' = 'waiting' OFFSET 0) AS j
UNION
SELECT j.id, j.depends_on, j.queue_name, j.workflow_id, {ancestry} FROM hammerwork_jobs j
WHERE j.dependency_status || '' = 'waiting' AND cardinality(j.depends_on) > 1 AND j.depends_on && CAST(:ids AS uuid[])

-- name: going_on
-- Workflows whose jobs run although one that they depend on failed.
SELECT w.id FROM hammerwork_workflows w WHERE w.failure_policy = 'continue_on_failure' AND w.id IN (:ids)

-- name: are_held
-- Whether one of some workers has a job of a queue.
SELECT 1 FROM hammerwork_jobs j
WHERE j.status = 'Running' AND {same j.queue_name :queue} AND j.claimed_by {among} AND {is_ours}
LIMIT 1

-- name: later
-- How many jobs of a queue wait for their time, :limit at most.
SELECT COUNT(*) FROM (SELECT 1 AS one FROM hammerwork_jobs j
WHERE {same j.queue_name :queue} AND {claimable} AND j.scheduled_at > :now AND {unarchived}
LIMIT :limit) AS later

-- name: to_do
-- Whether a queue has a job that may run soon, or that runs.
SELECT 1 FROM hammerwork_jobs j
WHERE {same j.queue_name :queue} AND {claimable} AND j.scheduled_at <= :soon AND {unarchived}
AND (j.cron_schedule IS NULL OR j.attempts > 0)
AND {unpaused}
LIMIT 1
