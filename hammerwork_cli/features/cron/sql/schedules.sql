-- Schedules and their runs.

-- name: name
-- The name of schedule s.
s.name

-- name: name [mysql]
CONVERT(s.name USING utf8mb4)

-- name: columns
-- The columns of cron.model.Schedule, in order; :columns are those after the name.
s.id, {name}, :columns

-- name: run
-- The columns of cron.model.ScheduleRun, in order, of run r and its job j.
r.due_at, r.kind, r.outcome, r.reason, r.job_id, r.created_at, {status j}, j.scheduled_at, {run_start j},
COALESCE(j.completed_at, j.failed_at, j.timed_out_at), substr(j.error_message, 1, 500), r.missed, r.missed_from

-- name: list
-- Lists schedules by name.
SELECT {columns} FROM hammerwork_schedules s
WHERE TRUE
/* if :queues */ AND {one_of s.queue_name :queues}
/* if :source */ AND {same s.source :source}
ORDER BY s.name

-- name: named
-- Finds a schedule by its name.
SELECT {columns} FROM hammerwork_schedules s WHERE {same s.name :name}

-- name: by_prefix
-- Finds schedules by the beginning of their ids.
SELECT {columns} FROM hammerwork_schedules s WHERE s.id BETWEEN :low AND :high ORDER BY s.id LIMIT :limit

-- name: by_prefix [postgresql]
SELECT {columns} FROM hammerwork_schedules s
WHERE s.id BETWEEN CAST(:low AS uuid) AND CAST(:high AS uuid) ORDER BY s.id LIMIT :limit

-- name: last_runs
-- Reads the last run of each schedule, but for those of a clock that was ahead. By its key, and not by a window over the
-- whole history.
SELECT s.id, {run} FROM hammerwork_schedules s
JOIN hammerwork_schedule_runs r ON r.schedule_id = s.id
AND r.due_at = (SELECT MAX(m.due_at) FROM hammerwork_schedule_runs m WHERE m.schedule_id = s.id
/* if :latest */ AND m.due_at <= :latest
)
LEFT JOIN hammerwork_jobs j ON j.id = r.job_id

-- name: runs
-- Lists the runs of a schedule, the last due one first.
SELECT {run} FROM hammerwork_schedule_runs r LEFT JOIN hammerwork_jobs j ON j.id = r.job_id
WHERE r.schedule_id = :id
/* if :since */ AND r.due_at >= :since
ORDER BY r.due_at DESC LIMIT :limit

-- name: totals
-- Counts the runs of a schedule by outcome, and the earlier due times that they stand for.
SELECT r.outcome, {status j}, COUNT(*), COALESCE(SUM(r.missed), 0)
FROM hammerwork_schedule_runs r LEFT JOIN hammerwork_jobs j ON j.id = r.job_id
WHERE r.schedule_id = :id GROUP BY r.outcome, {status j}

-- name: add
-- Adds a schedule.
INSERT INTO hammerwork_schedules (id, name, :columns, changed_by, next_run_at, revision, created_at, updated_at)
VALUES (:id, :name, :values, :by, :next, 1, :now, :now)

-- name: change
-- Updates a schedule unless somebody else has updated it.
UPDATE hammerwork_schedules SET :options, changed_by = :by, reason = :reason, last_error = NULL,
revision = :revision + 1, updated_at = :now
/* if :moves */ , next_run_at = :next
WHERE id = :id AND revision = :revision

-- name: declarations
-- Reads what files and applications said of their schedules last.
SELECT s.id, s.declared FROM hammerwork_schedules s WHERE s.declared IS NOT NULL

-- name: declare
-- Records what a file or an application says of a schedule.
UPDATE hammerwork_schedules SET declared = :declared WHERE id = :id

-- name: forget_runs
-- Deletes the history of a schedule, or what is older.
DELETE FROM hammerwork_schedule_runs WHERE schedule_id = :id
/* if :before */ AND due_at < :before AND created_at < :before

-- name: delete
-- Deletes a schedule.
DELETE FROM hammerwork_schedules WHERE id = :id
/* if :revision */ AND revision = :revision

-- name: upcoming
-- Lists the schedules that are due until a time, the longest due first.
SELECT {columns} FROM hammerwork_schedules s WHERE s.enabled = TRUE AND s.next_run_at <= :until
ORDER BY s.next_run_at LIMIT :limit

-- name: advance
-- Moves the next due time: of several workers one changes the row, and an update of the schedule goes first.
UPDATE hammerwork_schedules SET next_run_at = :next, last_error = NULL
WHERE id = :id AND next_run_at = :due AND revision = :revision AND enabled

-- name: fail
-- Records why the job of a schedule could not be enqueued.
UPDATE hammerwork_schedules SET last_error = :error WHERE id = :id AND revision = :revision

-- name: known_runs
-- Lists the due times of a schedule in a span that have a run, with its outcome and its job.
SELECT r.due_at, r.kind, r.outcome, r.job_id, r.missed, r.missed_from FROM hammerwork_schedule_runs r
WHERE r.schedule_id = :id AND r.due_at >= :first AND (r.due_at <= :last OR r.missed_from <= :last)

-- name: existing
-- Lists those of some jobs that exist, also in the archive.
SELECT j.id FROM hammerwork_jobs j WHERE j.id {among}
UNION ALL SELECT j.id FROM hammerwork_jobs_archive j WHERE j.id {among}

-- name: lock
-- Locks a schedule, which a tick changes before it reads the runs.
SELECT s.id FROM hammerwork_schedules s WHERE s.id = :id
{lock_clause}

-- name: refill
-- Records the job of a due time that had none. Its run goes on to stand for those before it.
UPDATE hammerwork_schedule_runs SET kind = 'backfill', outcome = 'enqueued', reason = NULL, job_id = :job,
created_at = :now WHERE schedule_id = :id AND due_at = :due AND job_id IS NULL

-- name: add_runs
-- Records the outcomes of due times.
INSERT INTO hammerwork_schedule_runs (schedule_id, due_at, kind, outcome, reason, job_id, created_at, missed,
missed_from) VALUES :rows

-- name: fewer_missed
-- Notes how many of the due times that a run stands for have runs of their own now.
UPDATE hammerwork_schedule_runs SET missed = missed - :number WHERE schedule_id = :id AND due_at = :due

-- name: last_with_job
-- Reads the last due time of a schedule that led to a job.
SELECT r.due_at FROM hammerwork_schedule_runs r
WHERE r.schedule_id = :id AND r.job_id IS NOT NULL ORDER BY r.due_at DESC LIMIT 1

-- name: open_job
-- Finds an open job of a schedule. One that somebody triggered for later stops nobody before its first attempt.
SELECT r.job_id, j.status FROM hammerwork_schedule_runs r JOIN hammerwork_jobs j ON j.id = r.job_id
WHERE r.schedule_id = :id AND j.status IN (:open)
AND NOT (r.kind = 'triggered' AND COALESCE(j.attempts, 0) = 0 AND j.scheduled_at > :now AND j.status <> 'Running')
LIMIT 1

-- name: open_job [sqlite]
-- It reads the open jobs first: SQLite does not know that they are fewer than the runs.
SELECT r.job_id, j.status FROM hammerwork_jobs j CROSS JOIN hammerwork_schedule_runs r ON r.job_id = j.id
WHERE r.schedule_id = :id AND j.status IN (:open)
AND NOT (r.kind = 'triggered' AND COALESCE(j.attempts, 0) = 0 AND j.scheduled_at > :now AND j.status <> 'Running')
LIMIT 1

-- name: open_trees
-- Lists the jobs of a schedule below which others may be open, the last ones first. Where it is noted that these trees
-- have ended, whoever retries a job of one waits until then, and takes it back.
SELECT r.job_id, r.due_at FROM hammerwork_schedule_runs r
WHERE r.schedule_id = :id AND r.job_id IS NOT NULL AND r.tree_ended IS NULL
ORDER BY r.due_at DESC LIMIT :limit
{lock_clause}

-- name: end_trees
-- Notes that all jobs below those of the runs between two due times have ended.
UPDATE hammerwork_schedule_runs SET tree_ended = TRUE
WHERE schedule_id = :id AND job_id IS NOT NULL AND tree_ended IS NULL AND due_at BETWEEN :first AND :last

-- name: switch
-- Enables or disables a schedule unless somebody else has updated it.
UPDATE hammerwork_schedules SET enabled = :enabled, changed_by = :by, reason = :reason, next_run_at = :next,
last_error = NULL, revision = :revision + 1, updated_at = :now
WHERE id = :id AND revision = :revision

-- name: later
-- Lists the schedules that are due after a time, the first ones first.
SELECT {columns} FROM hammerwork_schedules s WHERE s.enabled = TRUE AND s.next_run_at > :until ORDER BY s.next_run_at

-- name: first_ahead
-- Reads the first due time of a schedule that a clock recorded which was ahead, and that got no job.
SELECT MIN(COALESCE(r.missed_from, r.due_at)) FROM hammerwork_schedule_runs r
WHERE r.schedule_id = :id AND r.due_at > :since AND r.created_at > :latest AND r.job_id IS NULL

-- name: forget_ahead
-- Deletes those due times.
DELETE FROM hammerwork_schedule_runs
WHERE schedule_id = :id AND due_at > :since AND created_at > :latest AND job_id IS NULL

-- name: jobs_ahead
-- Lists the jobs of a schedule that wait because a clock was ahead which enqueued them.
SELECT j.id, j.queue_name, j.status, j.created_at, j.scheduled_at
FROM hammerwork_schedule_runs r JOIN hammerwork_jobs j ON j.id = r.job_id
WHERE r.schedule_id = :id AND r.due_at > :since AND r.created_at > :latest
AND j.status = 'Pending' AND j.scheduled_at > :latest AND j.created_at > :latest

-- name: put_back
-- Corrects the times of a schedule that a wrong clock has stored.
UPDATE hammerwork_schedules SET next_run_at = :next
/* if :created */ , created_at = :created
WHERE id = :id AND next_run_at = :due AND revision = :revision AND enabled
