-- Damage in the rows of hammerwork_jobs, and what mends it. j is the job, p a parent of it.
-- Archived jobs are left alone.

-- name: found
j.id, j.queue_name, j.status, COUNT(*) OVER ()

-- name: first
ORDER BY j.created_at, j.id
LIMIT :limit

-- name: written_status
j.status

-- name: written_status [mysql]
-- MySQL's comparison of text does not see letter case.
CAST(j.status AS BINARY)

-- name: plain_status
LOWER(TRIM(BOTH '"' FROM TRIM(j.status)))

-- name: plain_status [sqlite]
LOWER(TRIM(TRIM(j.status), '"'))

-- name: misspelt_status
-- Statuses in lower case or in quotes.
SELECT {found}, NULL FROM hammerwork_jobs j WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND {written_status} NOT IN (:words) AND {plain_status} IN (:plain)
{first}

-- name: fix_misspelt_status
-- Spells a status as it should be.
UPDATE hammerwork_jobs AS j SET status = :word WHERE j.id IN (:ids) AND {written_status} = :written

-- name: unknown_status
-- Jobs in a status that nobody knows.
SELECT {found}, NULL FROM hammerwork_jobs j WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND {plain_status} NOT IN (:plain)
{first}

-- name: null_lists [postgresql]
-- The original cannot read a job whose lists are NULL.
SELECT {found}, NULL FROM hammerwork_jobs j WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND (j.depends_on IS NULL OR j.dependents IS NULL)
{first}

-- name: fix_null_lists [postgresql]
-- Empty lists instead of none.
UPDATE hammerwork_jobs SET depends_on = COALESCE(depends_on, '{}'), dependents = COALESCE(dependents, '{}')
WHERE id IN (:ids) AND (depends_on IS NULL OR dependents IS NULL)

-- name: fix_null_lists [postgresql jsonb]
UPDATE hammerwork_jobs SET depends_on = COALESCE(depends_on, '[]'), dependents = COALESCE(dependents, '[]')
WHERE id IN (:ids) AND (depends_on IS NULL OR dependents IS NULL)

-- name: is_barred
j.status IN (:pending) AND (j.dependency_status IS NULL OR j.dependency_status = 'failed')

-- name: barred
-- Pending, with a dependency status that no worker accepts.
SELECT {found}, j.dependency_status FROM hammerwork_jobs j WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND {is_barred}
{first}

-- name: parent_total [postgresql]
COALESCE(cardinality(j.depends_on), 0)

-- name: parent_total [postgresql jsonb]
CASE jsonb_typeof(j.depends_on) WHEN 'array' THEN jsonb_array_length(j.depends_on) ELSE 0 END

-- name: parent_total [mysql]
COALESCE(JSON_LENGTH(j.depends_on), 0)

-- name: parent_total [sqlite]
COALESCE(json_array_length(j.depends_on), 0)

-- name: fix_barred
-- Lets jobs wait again that nothing would ever have started.
UPDATE hammerwork_jobs AS j SET dependency_status = CASE WHEN {parent_total} = 0 THEN 'none' ELSE 'waiting' END
WHERE j.id IN (:ids) AND {is_barred}

-- name: has_no_worker
-- Whether no worker of ours has claimed the running job j whose heart beats by the server's clock: only to be told.
TRUE

-- name: has_no_worker [workers]
(SELECT 1 FROM hammerwork_workers w
WHERE w.id = j.claimed_by AND {still_claimed} AND w.ended_at IS NULL AND {silent_for} <= w.lease_seconds LIMIT 1) IS NULL

-- name: is_abandoned
-- Whether no worker of ours has the running job j that has not ended. One that is only silent, as after an outage or when
-- the server's clock was put forward, may run it; of one that is lost, another worker takes it.
TRUE

-- name: is_abandoned [workers]
(SELECT 1 FROM hammerwork_workers w
WHERE w.id = j.claimed_by AND {still_claimed} AND w.ended_at IS NULL LIMIT 1) IS NULL

-- name: is_lost
j.status IN (:running) AND COALESCE(j.started_at, j.created_at) < :before

-- name: of_lost_worker
-- 1 for a job that a worker of ours had claimed; the next one takes it back.
0

-- name: of_lost_worker [workers]
CASE WHEN EXISTS (SELECT 1 FROM hammerwork_workers w
WHERE w.id = j.claimed_by AND {still_claimed} AND w.ended_at IS NULL) THEN 1 ELSE 0 END

-- name: running
-- How many run without a living worker of ours, since when the first, and how many of them a worker takes back.
SELECT COUNT(*), MIN(COALESCE(j.started_at, j.created_at)), SUM({of_lost_worker}) FROM hammerwork_jobs j WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND j.status IN (:running)
AND {has_no_worker}

-- name: lost
-- Running for so long that the worker must be gone, with attempts left.
SELECT {found}, COALESCE(j.started_at, j.created_at) FROM hammerwork_jobs j WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND {is_lost} AND {is_abandoned} AND j.attempts < j.max_attempts
{first}

-- name: fix_lost
-- A worker that took the job meanwhile has written a later start, so that it does not match.
UPDATE hammerwork_jobs AS j SET status = 'Pending', started_at = NULL
WHERE j.id IN (:ids) AND {is_lost} AND {is_abandoned} AND j.attempts < j.max_attempts

-- name: lost_last_attempt
-- Running jobs whose worker seems to be lost, and that have no attempt left.
SELECT {found}, COALESCE(j.started_at, j.created_at) FROM hammerwork_jobs j WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND {is_lost} AND {is_abandoned} AND j.attempts >= j.max_attempts
{first}

-- name: last_attempts
-- Some of them, with their schedules and when they were due.
SELECT j.id, j.attempts, j.max_attempts, j.recurring, j.cron_schedule, j.timezone, j.next_run_at FROM hammerwork_jobs j
WHERE j.id IN (:ids)

-- name: fix_lost_recurring
-- Recurring ones run again when they are due.
UPDATE hammerwork_jobs AS j SET status = 'Pending', attempts = 0, scheduled_at = :at, next_run_at = :at,
started_at = NULL, error_message = COALESCE(error_message, :error)
WHERE j.id IN (:ids) AND {is_lost} AND {is_abandoned} AND j.attempts >= j.max_attempts

-- name: fix_lost_last_attempt
-- Ends the others: Dead.
UPDATE hammerwork_jobs AS j SET status = 'Dead', failed_at = :now, error_message = COALESCE(error_message, :error)
WHERE j.id IN (:ids) AND {is_lost} AND {is_abandoned} AND j.attempts >= j.max_attempts

-- name: parent_completed_at
p.completed_at

-- name: parent_completed_at [archive]
COALESCE(p.completed_at, a.completed_at)

-- name: parent_recurs
-- It never completes, and holds nothing up: its children come when a run of it has ended.
COALESCE(p.recurring, FALSE)

-- name: waiting_jobs
-- Each waiting job with its parents counted by what became of them.
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
/* if :queue */ AND {same j.queue_name :queue}
AND j.dependency_status = 'waiting' AND j.status IN (:waiting)
/* if :ids */ AND j.id IN (:ids)
GROUP BY j.id)

-- name: policy
COALESCE(w.failure_policy, 'fail_fast')

-- name: stuck_jobs
-- Waiting jobs that nothing will release, by kind.
(SELECT CASE
WHEN s.completed = s.parents THEN 'not_released'
WHEN s.failed > 0 AND {policy} = 'fail_fast' THEN 'parent_failed'
WHEN s.failed > 0 AND {policy} = 'manual' THEN 'parent_failed_manual'
WHEN s.missing > 0 THEN 'parent_missing'
WHEN s.completed + s.failed = s.parents THEN 'not_released_after_failure'
END AS kind, j.id, j.queue_name, j.status, j.created_at, COALESCE(s.failed_parent, s.missing_parent) AS detail
FROM waiting_jobs AS s JOIN hammerwork_jobs j ON j.id = s.id LEFT JOIN hammerwork_workflows w ON w.id = j.workflow_id)

-- name: waiting
-- The first of each kind, and how many of it there are.
WITH waiting_jobs AS {waiting_jobs}
SELECT f.id, f.queue_name, f.status, f.jobs, f.detail, f.kind FROM
(SELECT k.*, COUNT(*) OVER (PARTITION BY k.kind) AS jobs,
ROW_NUMBER() OVER (PARTITION BY k.kind ORDER BY k.created_at, k.id) AS place
FROM {stuck_jobs} AS k WHERE k.kind IS NOT NULL) AS f
WHERE f.place <= :limit
ORDER BY f.kind, f.place

-- name: waiting_ids
-- Jobs that wait for others.
SELECT j.id FROM hammerwork_jobs j WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND j.dependency_status = 'waiting' AND j.status IN (:waiting)
/* if :after */ AND j.id > :after
ORDER BY j.id
LIMIT :limit

-- name: stuck_among
-- What ails some waiting jobs.
WITH waiting_jobs AS {waiting_jobs}
SELECT k.kind, k.id, k.detail FROM {stuck_jobs} AS k WHERE k.kind IS NOT NULL ORDER BY k.id

-- name: lock_jobs
-- Nobody retries these before the transaction ends.
SELECT p.id, p.status FROM hammerwork_jobs p WHERE p.id IN (:ids) ORDER BY p.id FOR UPDATE

-- name: lock_jobs [sqlite]
SELECT p.id, p.status FROM hammerwork_jobs p WHERE p.id IN (:ids)

-- name: release
-- Lets jobs run that wait for nothing any more.
UPDATE hammerwork_jobs SET dependency_status = 'satisfied'
WHERE id IN (:ids) AND dependency_status = 'waiting' AND status IN (:waiting)

-- name: fail
-- Fails jobs that wait for what will never complete.
UPDATE hammerwork_jobs
SET status = 'Failed', dependency_status = 'failed', failed_at = :now, error_message = :error
WHERE id IN (:ids) AND dependency_status = 'waiting' AND status IN (:waiting)

-- name: waiting_edges
-- Waiting jobs that wait for waiting jobs: where cycles are.
SELECT j.id, p.id FROM hammerwork_jobs j
{parents}
{archived_parents}
WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND j.dependency_status = 'waiting' AND j.status IN (:waiting)
AND p.dependency_status = 'waiting' AND p.status IN (:waiting)
LIMIT :limit

-- name: ran_early
-- Jobs that were taken although what they depend on had not completed, and still say that they wait.
SELECT {found}, s.later_parent FROM {waiting_jobs} AS s JOIN hammerwork_jobs j ON j.id = s.id
WHERE s.later_parent IS NOT NULL
{first}

-- name: completed_schedules
-- The schedules of recurring jobs that completed for good: whether these have ended, or cannot be read, SQL cannot say.
SELECT j.cron_schedule, j.timezone FROM hammerwork_jobs j WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND j.recurring AND j.status IN (:completed) AND j.cron_schedule IS NOT NULL
GROUP BY {by_name j.cron_schedule}, {by_name j.timezone}

-- name: cron_stopped
-- Recurring jobs that have ended before their schedule did: nothing schedules them again.
SELECT {found}, j.cron_schedule FROM hammerwork_jobs j WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND j.recurring AND (j.status IN (:failed)
OR (j.status IN (:completed) AND {exactly j.cron_schedule} IN (:schedules)))
{first}

-- name: unfinished_tables
-- Jobs that no worker of the original can take, as its tables are not finished.
SELECT {found}, NULL FROM hammerwork_jobs j WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND j.status IN (:pending)
{first}

-- name: never_spawned
-- Jobs that completed with spawn configuration and have no children.
SELECT {found}, {config} FROM hammerwork_jobs j WHERE {unarchived}
/* if :queue */ AND {same j.queue_name :queue}
AND {has_config} AND j.status IN (:completed)
AND NOT ({has_children} {or_archived_children})
AND {never_recorded}
{first}

-- name: limited_trees
-- Where the descendants of roots are counted.
hammerwork_spawn_roots

-- name: limited_trees [claim_times]
hammerwork_spawn_trees

-- name: recorded
-- Jobs of whose spawning something was recorded.
(SELECT o.parent_id AS id FROM hammerwork_spawn_operations o
UNION SELECT c.parent_id FROM hammerwork_spawned_children c
UNION SELECT r.job_id FROM hammerwork_spawn_requests r
UNION SELECT t.root_id FROM {limited_trees} t)

-- name: unarchived_record
TRUE

-- name: unarchived_record [archive]
NOT EXISTS (SELECT 1 FROM hammerwork_jobs_archive a WHERE a.id = g.id)

-- name: gone_but_recorded
-- Those of them that are neither live nor archived: another program has deleted them.
SELECT g.id, NULL, 'gone', COUNT(*) OVER (), NULL FROM {recorded} AS g
WHERE NOT EXISTS (SELECT 1 FROM hammerwork_jobs j WHERE j.id = g.id) AND {unarchived_record}
ORDER BY g.id
LIMIT :limit
