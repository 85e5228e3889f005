-- Damage in the table of jobs, and its fixes. j is the job, p a parent of it. The doctor does not touch archived jobs.

-- name: found
-- The columns of a finding without its detail.
j.id, j.queue_name, j.status, COUNT(*) OVER ()

-- name: first
-- The first jobs of a finding.
ORDER BY j.created_at, j.id
LIMIT :limit

-- name: written_status
-- The status of job j as the row spells it.
j.status

-- name: written_status [mysql]
-- Bytes, since MySQL compares text without letter case.
CAST(j.status AS BINARY)

-- name: plain_status
-- The status of job j in lower case and without quotes.
LOWER(TRIM(BOTH '"' FROM TRIM(j.status)))

-- name: plain_status [sqlite]
LOWER(TRIM(TRIM(j.status), '"'))

-- name: misspelt_status
-- Finds statuses in lower case or in quotes.
SELECT {found}, NULL FROM hammerwork_jobs j WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND {written_status} NOT IN (:words) AND {plain_status} IN (:plain)
{first}

-- name: fix_misspelt_status
-- Corrects the spelling of a status.
UPDATE hammerwork_jobs AS j {by_id} SET status = :word WHERE j.id IN (:ids) AND {written_status} = :written

-- name: unknown_status
-- Finds jobs in an unknown status.
SELECT {found}, NULL FROM hammerwork_jobs j WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND {plain_status} NOT IN (:plain)
{first}

-- name: null_lists [postgresql]
-- Finds jobs whose lists are NULL, which hammerwork (Rust) cannot read.
SELECT {found}, NULL FROM hammerwork_jobs j WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND (j.depends_on IS NULL OR j.dependents IS NULL)
{first}

-- name: fix_null_lists [postgresql]
-- Replaces lists that are NULL by empty ones.
UPDATE hammerwork_jobs SET depends_on = COALESCE(depends_on, '{}'), dependents = COALESCE(dependents, '{}')
WHERE id IN (:ids) AND (depends_on IS NULL OR dependents IS NULL)

-- name: is_barred
-- Whether job j is pending in a dependency status that no worker accepts.
j.status IN (:pending) AND (j.dependency_status IS NULL OR j.dependency_status = 'failed')

-- name: barred
-- Finds pending jobs in a dependency status that no worker accepts.
SELECT {found}, j.dependency_status FROM hammerwork_jobs j WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND {is_barred}
{first}

-- name: fix_barred
-- Lets barred jobs run or wait.
UPDATE hammerwork_jobs AS j {by_id} SET dependency_status = CASE WHEN {is_root} THEN 'none' ELSE 'waiting' END
WHERE j.id IN (:ids) AND {is_barred}

-- name: has_no_worker
-- Whether none of our workers with a recent heartbeat has the running job j. It serves the report only.
(SELECT 1 FROM hammerwork_workers w
WHERE w.id = j.claimed_by AND {still_claimed} AND w.ended_at IS NULL AND {silent_for} <= w.lease_seconds LIMIT 1) IS NULL

-- name: has_no_worker [original]
TRUE

-- name: is_abandoned
-- Whether none of our workers that have not ended has the running job j. A silent worker, as after an outage or a
-- change of the server's clock, may still run it; the job of a lost worker is rescued by another.
(SELECT 1 FROM hammerwork_workers w
WHERE w.id = j.claimed_by AND {still_claimed} AND w.ended_at IS NULL LIMIT 1) IS NULL

-- name: is_abandoned [original]
TRUE

-- name: is_lost
-- Whether job j has run for so long that its worker must be gone.
j.status IN (:running) AND COALESCE(j.started_at, j.created_at) < :before

-- name: is_lost [leases]
-- A lease says so as well, however long the job has run.
j.status IN (:running)
AND CASE WHEN {leased_by_rust} THEN j.lease_expires_at < :now ELSE COALESCE(j.started_at, j.created_at) < :before END

-- name: of_lost_worker
-- 1 for a job that one of our workers has and the next one rescues, else 0.
CASE WHEN EXISTS (SELECT 1 FROM hammerwork_workers w
WHERE w.id = j.claimed_by AND {still_claimed} AND w.ended_at IS NULL) THEN 1 ELSE 0 END

-- name: of_lost_worker [original]
0

-- name: running
-- Counts the running jobs that no live worker of ours has and that have no lease, with the first start, and those of
-- them that a worker rescues.
SELECT COUNT(*), MIN(COALESCE(j.started_at, j.created_at)), SUM({of_lost_worker}) FROM hammerwork_jobs j WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND j.status IN (:running)
AND {has_no_worker} AND NOT COALESCE({leased_by_rust}, FALSE)

-- name: lost
-- Finds jobs whose worker must be gone, with attempts left.
SELECT {found}, COALESCE(j.started_at, j.created_at) FROM hammerwork_jobs j WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND {is_lost} AND {is_abandoned} AND j.attempts < j.max_attempts
{first}

-- name: last_worker
-- Which of our workers has the running job j.
CASE WHEN {still_claimed} THEN j.claimed_by END

-- name: last_worker [original]
NULL

-- name: lost_among
-- Locks those of some jobs that are lost, and reads their attempts, their schedules and when they were due.
SELECT j.id, j.attempts, j.max_attempts, j.recurring, j.cron_schedule, j.timezone, j.next_run_at,
COALESCE(j.started_at, j.created_at), {last_worker}
FROM hammerwork_jobs j {by_id}
WHERE j.id IN (:ids) AND {is_lost} AND {is_abandoned}
ORDER BY j.id
{lock_clause}

-- name: fix_lost
-- Gives lost jobs another attempt. A worker that claimed one meanwhile wrote a later start, so that it does not match.
UPDATE hammerwork_jobs AS j {by_id} SET status = 'Pending', started_at = NULL, error_message = :error {unleased}
WHERE j.id IN (:ids) AND {is_lost} AND {is_abandoned} AND j.attempts < j.max_attempts

-- name: lost_last_attempt
-- Finds lost jobs without attempts left.
SELECT {found}, COALESCE(j.started_at, j.created_at) FROM hammerwork_jobs j WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND {is_lost} AND {is_abandoned} AND j.attempts >= j.max_attempts
{first}

-- name: fix_lost_recurring
-- Schedules the next occurrence of recurring jobs that were lost in their last attempt.
UPDATE hammerwork_jobs AS j {by_id} SET status = 'Pending', attempts = 0, scheduled_at = :at, next_run_at = :at,
started_at = NULL, error_message = :error {unleased}
WHERE j.id IN (:ids) AND {is_lost} AND {is_abandoned} AND j.attempts >= j.max_attempts

-- name: fix_lost_last_attempt
-- Marks other jobs that were lost in their last attempt as dead.
UPDATE hammerwork_jobs AS j {by_id} SET status = 'Dead', failed_at = :now, error_message = :error {unleased}
WHERE j.id IN (:ids) AND {is_lost} AND {is_abandoned} AND j.attempts >= j.max_attempts

-- name: parent_completed_at
-- When a parent completed.
p.completed_at

-- name: parent_completed_at [archive]
COALESCE(p.completed_at, a.completed_at)

-- name: parent_recurs
-- Whether a parent is recurring. It never completes and blocks nothing: its children come after a run of it has ended.
COALESCE(p.recurring, FALSE)

-- name: waiting_jobs
-- The waiting jobs, with their parents counted by status.
(SELECT j.id, COUNT({place}) AS parents,
SUM(CASE WHEN {parent_status} IN (:completed) OR {parent_recurs} THEN 1 ELSE 0 END) AS completed,
SUM(CASE WHEN {parent_status} IN (:failed) AND NOT {parent_recurs} THEN 1 ELSE 0 END) AS failed,
SUM(CASE WHEN {place} IS NOT NULL AND {parent_status} IS NULL THEN 1 ELSE 0 END) AS missing,
MIN(CASE WHEN {parent_status} IN (:failed) AND NOT {parent_recurs} THEN {parent_text} END) AS failed_parent,
MIN(CASE WHEN {place} IS NOT NULL AND {parent_status} IS NULL THEN {parent_text} END) AS missing_parent,
MIN(CASE WHEN ({parent_status} NOT IN (:completed) OR {parent_completed_at} > COALESCE(j.started_at, j.created_at))
AND NOT {parent_recurs} THEN {parent_text} END) AS later_parent
FROM hammerwork_jobs j
{parents}
{archived_parents}
WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND j.dependency_status = 'waiting' AND j.status IN (:waiting)
/* if :ids */ AND j.id IN (:ids)
{no_join}
GROUP BY j.id)

-- name: no_join
-- Joins wait for more than the jobs in their lists: workers compare these by themselves.

-- name: no_join [current]
AND NOT EXISTS (SELECT 1 FROM hammerwork_joins x WHERE x.job_id = j.id)

-- name: stuck_jobs
-- The waiting jobs that nothing will release, by kind. The statement defines waiting_jobs.
(SELECT CASE
WHEN s.completed = s.parents THEN 'not_released'
WHEN s.failed > 0 AND COALESCE({failure_policy}, 'fail_fast') IN ('fail_fast', 'continue_on_failure') THEN 'parent_failed'
WHEN s.failed > 0 AND {failure_policy} = 'manual' THEN 'parent_failed_manual'
WHEN s.missing > 0 THEN 'parent_missing'
WHEN s.completed + s.failed = s.parents THEN 'not_released_after_failure'
END AS kind, j.id, j.queue_name, j.status, j.created_at, COALESCE(s.failed_parent, s.missing_parent) AS detail
FROM waiting_jobs AS s JOIN hammerwork_jobs j ON j.id = s.id LEFT JOIN hammerwork_workflows w ON w.id = j.workflow_id)

-- name: waiting
-- Finds waiting jobs that nothing will release: the first of each kind, and the number of all.
WITH waiting_jobs AS {waiting_jobs}
SELECT f.id, f.queue_name, f.status, f.jobs, f.detail, f.kind FROM
(SELECT k.*, COUNT(*) OVER (PARTITION BY k.kind) AS jobs,
ROW_NUMBER() OVER (PARTITION BY k.kind ORDER BY k.created_at, k.id) AS place
FROM {stuck_jobs} AS k WHERE k.kind IS NOT NULL) AS f
WHERE f.place <= :limit
ORDER BY f.kind, f.place

-- name: waiting_ids
-- Lists the ids of a page of waiting jobs.
SELECT j.id FROM hammerwork_jobs j WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND j.dependency_status = 'waiting' AND j.status IN (:waiting)
/* if :after */ AND j.id > :after
ORDER BY j.id
LIMIT :limit

-- name: stuck_among
-- Lists those of some waiting jobs that nothing will release, with the kind.
WITH waiting_jobs AS {waiting_jobs}
SELECT k.kind, k.id, k.detail FROM {stuck_jobs} AS k WHERE k.kind IS NOT NULL ORDER BY k.id

-- name: lock_jobs
-- Locks jobs, so that nobody changes them before the transaction ends. Ids alone choose them: MySQL would read, and
-- lock, an index on other columns.
SELECT p.id, p.status, p.dependency_status FROM hammerwork_jobs p {by_id} WHERE p.id IN (:ids)
ORDER BY p.id
{lock_clause}

-- name: release
-- Lets jobs run that wait for nothing.
UPDATE hammerwork_jobs {by_id} SET dependency_status = 'satisfied'
WHERE id IN (:ids) AND dependency_status = 'waiting' AND status IN (:waiting)

-- name: fail
-- Fails jobs that wait for a job that will never complete.
UPDATE hammerwork_jobs {by_id}
SET status = 'Failed', dependency_status = 'failed', failed_at = :now, error_message = :error {unleased}
WHERE id IN (:ids) AND dependency_status = 'waiting' AND status IN (:waiting)

-- name: waiting_edges
-- Lists the waiting jobs that wait for waiting jobs, among which cycles are.
SELECT j.id, p.id FROM hammerwork_jobs j
{parents}
{archived_parents}
WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND j.dependency_status = 'waiting' AND j.status IN (:waiting)
AND p.dependency_status = 'waiting' AND p.status IN (:waiting)
LIMIT :limit

-- name: ran_early
-- Finds jobs that were claimed before their dependencies completed, and are still marked as waiting.
SELECT {found}, s.later_parent FROM {waiting_jobs} AS s JOIN hammerwork_jobs j ON j.id = s.id
WHERE s.later_parent IS NOT NULL
{first}

-- name: completed_schedules
-- Lists the schedules of completed recurring jobs. SQL cannot tell whether these have ended or are unreadable.
SELECT j.cron_schedule, j.timezone FROM hammerwork_jobs j WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND j.recurring AND j.status IN (:completed) AND j.cron_schedule IS NOT NULL
GROUP BY {by_name j.cron_schedule}, {by_name j.timezone}

-- name: cron_stopped
-- Finds recurring jobs that ended before their schedule did, so that nothing schedules them again.
SELECT {found}, j.cron_schedule FROM hammerwork_jobs j WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND j.recurring AND (j.status IN (:failed)
OR (j.status IN (:completed) AND {exactly j.cron_schedule} IN (:schedules)))
{first}

-- name: unfinished_tables
-- Finds the jobs that no Rust worker can claim, as its tables are not finished.
SELECT {found}, NULL FROM hammerwork_jobs j WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND j.status IN (:pending)
{first}

-- name: never_spawned
-- Finds jobs that completed with spawn configuration and have no children.
SELECT {found}, {config} FROM hammerwork_jobs j WHERE {unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
AND {has_config} AND j.status IN (:completed)
AND NOT ({has_children} {or_archived_children})
AND {never_recorded}
{first}

-- name: recorded
-- The jobs of which anything is recorded.
(SELECT o.parent_id AS id FROM hammerwork_spawn_operations o
UNION SELECT c.parent_id FROM hammerwork_spawned_children c
UNION SELECT r.job_id FROM hammerwork_spawn_requests r
UNION SELECT t.root_id FROM hammerwork_spawn_trees t
UNION SELECT h.job_id FROM hammerwork_attempts h
UNION SELECT u.job_id FROM hammerwork_unique u)

-- name: gone_but_recorded
-- Finds the records of jobs that another program has deleted.
SELECT g.id, NULL, 'gone', COUNT(*) OVER (), NULL FROM {recorded} AS g
WHERE NOT EXISTS (SELECT 1 FROM hammerwork_jobs j WHERE j.id = g.id)
AND NOT EXISTS (SELECT 1 FROM hammerwork_jobs_archive a WHERE a.id = g.id)
ORDER BY g.id
LIMIT :limit
