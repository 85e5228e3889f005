-- Claiming jobs.

-- name: unpaused
-- Whether the queue is not paused.
TRUE

-- name: unpaused [pause]
NOT EXISTS (SELECT 1 FROM hammerwork_queue_pause p WHERE {same p.queue_name :queue})

-- name: claimable
-- Whether job j waits for a worker. An encrypted one is left to a Rust worker with the key: its payload is a placeholder.
j.status = 'Pending' AND (j.dependency_status IS NULL OR j.dependency_status IN ('none', 'satisfied'))
AND j.is_encrypted IS NOT TRUE

-- name: claimable [mysql]
-- The column makes an index possible in which jobs that wait for others are not in the way.
j.claimable = 1 AND j.is_encrypted IS NOT TRUE

-- name: ready
-- Locks the jobs of a queue that may run now, the most urgent first.
SELECT {claimed_job} FROM hammerwork_jobs j
WHERE {same j.queue_name :queue} AND {claimable} AND j.scheduled_at <= :now AND {unarchived}
AND {unpaused}
/* if :priority */ AND j.priority = :priority
ORDER BY j.priority DESC, j.scheduled_at LIMIT :limit
{skip_locked}

-- name: claim
-- Claims locked jobs for a worker. The token stays on the row after the job has ended.
UPDATE hammerwork_jobs {by_id} SET status = 'Running', attempts = {one_more attempts}, started_at = :now,
completed_at = NULL, failed_at = NULL, timed_out_at = NULL, claim_token = :token, claimed_by = :worker, claimed_at = :now
WHERE id {among}

-- name: have_spawned
-- Reads which of these jobs have spawned, and in which run.
SELECT o.parent_id, o.occurrence FROM hammerwork_spawn_operations o
WHERE o.parent_id {among} AND o.outcome = 'spawned'

-- name: any_running
-- Tells whether one of some workers runs a job of a queue.
SELECT 1 FROM hammerwork_jobs j
WHERE j.status = 'Running' AND {same j.queue_name :queue} AND j.claimed_by {among} AND {still_claimed}
LIMIT 1

-- name: scheduled
-- Counts the jobs of a queue that are scheduled for later, up to :limit.
SELECT COUNT(*) FROM (SELECT 1 AS one FROM hammerwork_jobs j
WHERE {same j.queue_name :queue} AND {claimable} AND j.scheduled_at > :now AND {unarchived}
LIMIT :limit) AS later

-- name: any_left
-- Tells whether a queue has a job that may run soon.
SELECT 1 FROM hammerwork_jobs j
WHERE {same j.queue_name :queue} AND {claimable} AND j.scheduled_at <= :soon AND {unarchived}
AND (j.cron_schedule IS NULL OR j.attempts > 0)
AND {unpaused}
LIMIT 1
