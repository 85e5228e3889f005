-- Recurring jobs: the rows that come back by their schedules, as hammerwork (Rust) has them.

-- name: columns
-- The columns of cron.queries.recurring, in order; :options are those that a schedule stores, too.
j.id, j.cron_schedule, j.timezone, :options, j.recurring, j.status, j.scheduled_at, substr(j.error_message, 1, 500),
j.created_at

-- name: list
-- Lists recurring jobs, and those that are disabled.
SELECT {columns} FROM hammerwork_jobs j
WHERE j.cron_schedule IS NOT NULL AND (j.recurring OR j.status = 'Pending')
/* if :queues */ AND {one_of j.queue_name :queues}
ORDER BY j.queue_name, j.id

-- name: one
-- Reads a recurring job, or one that is disabled.
SELECT {columns} FROM hammerwork_jobs j
WHERE j.id = :id AND j.cron_schedule IS NOT NULL AND (j.recurring OR j.status = 'Pending')

-- name: park
-- Stops a job from recurring, and puts it where no worker of either program takes it.
UPDATE hammerwork_jobs SET recurring = FALSE, next_run_at = NULL, scheduled_at = :parked
WHERE id = :id AND status = 'Pending' AND recurring

-- name: unpark
-- Lets a disabled job recur again, also one that hammerwork (Rust) has disabled, or enabled and left parked.
UPDATE hammerwork_jobs SET recurring = TRUE, attempts = 0, next_run_at = :next, scheduled_at = :next
WHERE id = :id AND status = 'Pending' AND (scheduled_at = :parked OR NOT recurring)

-- name: stranded
-- Lists parked jobs that hammerwork (Rust) has enabled.
SELECT {columns} FROM hammerwork_jobs j
WHERE j.cron_schedule IS NOT NULL AND j.recurring AND j.status = 'Pending' AND j.scheduled_at = :parked

-- name: change
-- Changes the schedule of a job that waits for its next occurrence.
UPDATE hammerwork_jobs SET cron_schedule = :expression, timezone = :timezone, priority = :priority
/* if :next */ , next_run_at = :next, scheduled_at = :next
WHERE id = :id AND status = 'Pending' AND {same cron_schedule :seen}
/* if :enabled */ AND recurring
/* if :disabled */ AND NOT recurring

-- name: trigger
-- Makes a waiting job due now.
UPDATE hammerwork_jobs SET next_run_at = :now, scheduled_at = :now WHERE id = :id AND status = 'Pending' AND recurring

-- name: later
-- Lists recurring jobs that wait for an occurrence after a time, unless somebody has enqueued them for it.
SELECT {columns} FROM hammerwork_jobs j
WHERE j.recurring AND j.status = 'Pending' AND j.next_run_at > :until AND j.next_run_at = j.scheduled_at
AND j.scheduled_at <> :parked AND (j.claim_token IS NOT NULL OR j.attempts > 0 OR j.created_at > :until)
ORDER BY j.next_run_at

-- name: put_back
-- Corrects the next occurrence of a recurring job.
UPDATE hammerwork_jobs SET next_run_at = :next, scheduled_at = :next,
created_at = CASE WHEN created_at > :now THEN :now ELSE created_at END
WHERE id = :id AND status = 'Pending' AND recurring AND next_run_at = :due
