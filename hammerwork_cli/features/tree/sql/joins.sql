-- Joins: jobs that wait until the children of their parent, or all jobs below it, have ended.

-- name: add
-- Adds a join.
INSERT INTO hammerwork_joins (job_id, parent_id, scope, on_failure, parent_ended, open_jobs, failed_jobs, checked_at)
VALUES (:id, :parent, :scope, :on_failure, :ended, :open, 0, :now)

-- name: add_missing
-- Adds joins, unless they exist.
INSERT INTO hammerwork_joins (job_id, parent_id, scope, on_failure, parent_ended, open_jobs, failed_jobs, checked_at)
VALUES :rows
ON CONFLICT (job_id) DO NOTHING

-- name: add_missing [mysql]
INSERT INTO hammerwork_joins (job_id, parent_id, scope, on_failure, parent_ended, open_jobs, failed_jobs, checked_at)
VALUES :rows
ON DUPLICATE KEY UPDATE job_id = hammerwork_joins.job_id

-- name: count
-- Changes how many jobs a join waits for, and how many of them have failed.
UPDATE hammerwork_joins SET open_jobs = open_jobs + :open, failed_jobs = failed_jobs + :failed WHERE job_id = :id

-- name: parent_ended
-- Notes that the parent of joins has ended.
UPDATE hammerwork_joins SET parent_ended = TRUE WHERE job_id {among}

-- name: ready
-- Locks those of some joins that wait for nothing, in the order of their ids.
SELECT x.job_id, x.on_failure, x.failed_jobs, x.scope, x.parent_id FROM hammerwork_joins x
WHERE x.job_id {among} AND x.parent_ended AND x.open_jobs <= 0 ORDER BY x.job_id
{lock_clause}

-- name: failing
-- Lists the batches, trees and workflows that some counters count for, and of which a job has failed.
SELECT x.parent_id FROM hammerwork_joins x WHERE x.job_id {among} AND {same x.scope :scope} AND x.failed_jobs > 0

-- name: open_callbacks
-- Lists the open callbacks of batches, trees and workflows, and whether workers are to wait before they look at them.
SELECT w.id, w.check_at > :now FROM hammerwork_watches w WHERE w.subject_id IN (:ids) AND w.state = 'open'
/* if :event */ AND {same w.event :event}

-- name: due
-- Lets a worker look at callbacks now.
UPDATE hammerwork_watches SET check_at = :now WHERE id {among}

-- name: of_jobs
-- Reads some joins.
SELECT x.job_id, x.parent_ended, x.open_jobs, x.failed_jobs, x.on_failure FROM hammerwork_joins x WHERE x.job_id {among}

-- name: marks
-- Reads those of some jobs that joins count: id, place, status, whether they recur.
SELECT j.id, {ancestry}, j.status, j.recurring FROM hammerwork_jobs j WHERE j.id {among} AND {ancestry} LIKE '%"join%'

-- name: archived_marks
-- Reads those of some archived jobs that joins count.
SELECT j.id, {ancestry}, j.status, FALSE FROM hammerwork_jobs_archive j WHERE j.id IN (:ids) AND {ancestry} LIKE '%"join%'
AND NOT EXISTS (SELECT 1 FROM hammerwork_jobs m WHERE m.id = j.id)

-- name: queues
-- Reads the queues of jobs.
SELECT j.id, j.queue_name FROM hammerwork_jobs j WHERE j.id {among}

-- name: stale
-- Lists waiting joins whose counts nobody has compared with their jobs for a while. Most databases have no joins: the
-- question whether there are any keeps them from reading all waiting jobs.
SELECT x.job_id FROM hammerwork_joins x JOIN hammerwork_jobs j ON j.id = x.job_id
WHERE EXISTS (SELECT 1 FROM hammerwork_joins y WHERE y.checked_at < :before)
AND x.checked_at < :before AND j.dependency_status = 'waiting' AND j.status IN (:waiting)
ORDER BY x.checked_at LIMIT :limit

-- name: parents
-- Reads the parents of some joins.
SELECT x.job_id, x.parent_id FROM hammerwork_joins x WHERE x.job_id {among}

-- name: lock
-- Locks a join.
SELECT x.parent_ended, x.open_jobs, x.failed_jobs FROM hammerwork_joins x WHERE x.job_id = :id
{lock_clause}

-- name: lock_all
-- Locks those of some joins that exist, in the order of their ids.
SELECT x.job_id FROM hammerwork_joins x {by_id} WHERE x.job_id {among} ORDER BY x.job_id
{lock_clause}

-- name: correct
-- Corrects what a join counts.
UPDATE hammerwork_joins SET parent_ended = :ended, open_jobs = :open, failed_jobs = :failed, checked_at = :now
WHERE job_id = :id
