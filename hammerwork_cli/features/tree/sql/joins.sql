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
-- Changes how many jobs a join waits for, and how many of them have failed. A count that would be negative was wrong
-- before: it stays at zero, and in doubt until a worker has counted anew. Nothing else changes checked_at here: to change
-- the index would cost every end of a job. MySQL computes from left to right.
UPDATE hammerwork_joins SET
checked_at = CASE WHEN open_jobs + :open < 0 OR failed_jobs + :failed < 0 THEN :in_doubt ELSE checked_at END,
open_jobs = CASE WHEN open_jobs + :open < 0 THEN 0 ELSE open_jobs + :open END,
failed_jobs = CASE WHEN failed_jobs + :failed < 0 THEN 0 ELSE failed_jobs + :failed END
WHERE job_id = :id

-- name: parent_ended
-- Notes that the parent of joins has ended.
UPDATE hammerwork_joins SET parent_ended = TRUE WHERE job_id {among}

-- name: of_parents
-- Lists the joins among the children of some jobs.
SELECT j.id FROM hammerwork_jobs j WHERE {is_child} AND {ancestry} LIKE '%"awaits"%'

-- name: parent_again
-- Notes that the parent of joins runs again.
UPDATE hammerwork_joins SET parent_ended = FALSE WHERE job_id {among}

-- name: note_parents
-- Notes of some joins that their parent has completed, while they did not wait for it, or is gone or archived.
UPDATE hammerwork_joins SET parent_ended = TRUE WHERE job_id {among} AND NOT parent_ended
AND NOT EXISTS (SELECT 1 FROM hammerwork_jobs p WHERE p.id = hammerwork_joins.parent_id AND p.status <> 'Completed')

-- name: ready
-- Locks those of some joins that wait for nothing, as far as nobody doubts it, in the order of their ids.
SELECT x.job_id, x.on_failure, x.failed_jobs, x.scope, x.parent_id FROM hammerwork_joins x
WHERE x.job_id {among} AND x.parent_ended AND x.open_jobs = 0 AND x.checked_at > :in_doubt ORDER BY x.job_id
{lock_clause}

-- name: lock_waiting
-- Locks those of some joins that wait, in the order of their ids. One that is cancelled does not, whatever it waited for.
SELECT j.id FROM hammerwork_jobs j {by_id} WHERE j.id {among} AND {waits} AND j.status IN (:waiting) ORDER BY j.id
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

-- name: row
-- The columns of tree.queries.joins.JoinCounts.
x.job_id, x.parent_id, x.parent_ended, x.open_jobs, x.failed_jobs, x.on_failure, x.checked_at

-- name: of_jobs
-- Reads some joins.
SELECT {row} FROM hammerwork_joins x WHERE x.job_id {among}

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

-- name: doubted
-- Reads joins whose counts are in doubt.
SELECT {row} FROM hammerwork_joins x WHERE x.checked_at <= :in_doubt LIMIT :limit

-- name: waiting
-- Reads a page of the joins that wait. Most databases have none: the question keeps them from reading all waiting jobs.
SELECT {row} FROM hammerwork_jobs j JOIN hammerwork_joins x ON x.job_id = j.id
WHERE EXISTS (SELECT 1 FROM hammerwork_joins)
AND {unarchived} AND j.dependency_status = 'waiting' AND j.status IN (:waiting) AND j.ancestry LIKE '%"awaits"%'
/* if :after */ AND j.id > :after
ORDER BY j.id LIMIT :limit

-- name: places
-- Counts the jobs that joins count by place and status.
SELECT j.ancestry, j.status, COUNT(*) FROM hammerwork_jobs j WHERE j.ancestry LIKE '%"join%' AND NOT j.recurring
GROUP BY j.ancestry, j.status

-- name: archived_places
-- Does the same for jobs that are only in the archive.
SELECT j.ancestry, j.status, COUNT(*) FROM hammerwork_jobs_archive j WHERE j.ancestry LIKE '%"join%' AND {only_in_archive}
GROUP BY j.ancestry, j.status

-- name: all
-- Reads all joins and counters, with the queue of a join, and with the statuses of it and of its parent.
SELECT {row}, x.scope, j.queue_name, j.status, j.dependency_status, p.status FROM hammerwork_joins x
LEFT JOIN hammerwork_jobs j ON j.id = x.job_id LEFT JOIN hammerwork_jobs p ON p.id = x.parent_id AND NOT p.recurring

-- name: statuses
-- Reads the statuses of jobs.
SELECT j.id, j.status FROM hammerwork_jobs j WHERE j.id {among}

-- name: is_marked
-- Whether a join counts job j. The pattern has the key before the id: elsewhere in the place it is that of another job.
j.ancestry LIKE :mark

-- name: counted_status
-- The status of job j as a join counts it.
CASE WHEN j.recurring THEN NULL ELSE j.status END

-- name: subject [mysql]
-- The parent of a join, or the batch, the workflow or the top of the tree of a counter.
CAST(:subject AS CHAR(36))

-- name: subject [mysql narrow]
-- See as_id.
CONVERT(:subject USING ascii)

-- name: subject [postgresql]
CAST(:subject AS uuid)

-- name: subject [sqlite]
:subject

-- name: several_parents [postgresql]
-- Whether job j has several parents. An index knows these jobs.
cardinality(j.depends_on) > 1

-- name: several_parents [mysql]
j.parent_count > 1

-- name: several_parents [sqlite]
json_array_length(j.depends_on) > 1

-- name: is_seed
-- Whether job j, if it is marked, is found without its first parent: that of a job with several may be outside of the tree.
(j.id = {subject} OR COALESCE(j.batch_id = {subject}, FALSE) OR COALESCE(j.workflow_id = {subject}, FALSE)
OR COALESCE({several_parents}, FALSE))

-- name: seeds
-- The marked jobs from which the walk begins. The subject comes once, counted or not.
SELECT {subject} AS id, COALESCE((SELECT {counted_status} FROM hammerwork_jobs j WHERE j.id = {subject} AND {is_marked}),
(SELECT j.status FROM hammerwork_jobs_archive j WHERE j.id = {subject} AND {is_marked} AND {only_in_archive})) AS status
UNION ALL SELECT j.id, {counted_status} FROM hammerwork_jobs j WHERE j.batch_id = {subject} AND {is_marked}
UNION ALL SELECT j.id, {counted_status} FROM hammerwork_jobs j WHERE j.workflow_id = {subject} AND {is_marked}
UNION ALL SELECT j.id, {counted_status} FROM hammerwork_jobs j WHERE {several_parents} AND {is_marked}
AND j.id <> {subject} AND NOT COALESCE(j.batch_id = {subject}, FALSE) AND NOT COALESCE(j.workflow_id = {subject}, FALSE)
UNION ALL SELECT j.id, j.status FROM hammerwork_jobs_archive j WHERE j.batch_id = {subject} AND {is_marked} AND {only_in_archive}
UNION ALL SELECT j.id, j.status FROM hammerwork_jobs_archive j
WHERE j.workflow_id = {subject} AND {is_marked} AND {only_in_archive}

-- name: is_archived_below
-- Whether the archived job j was counted where it stood before.
{is_marked} AND j.id <> {subject} AND NOT COALESCE(j.batch_id = {subject}, FALSE)
AND NOT COALESCE(j.workflow_id = {subject}, FALSE) AND {only_in_archive}

-- name: below
-- The marked jobs below m, a generation further down. Each has one first parent, so that each comes once.
SELECT j.id, {counted_status} FROM marked m JOIN hammerwork_jobs j ON {first_parent} = m.id WHERE {is_marked} AND NOT {is_seed}
UNION ALL
SELECT j.id, j.status FROM marked m JOIN hammerwork_jobs_archive j ON {first_parent} = m.id WHERE {is_archived_below}

-- name: below [sqlite]
-- The plus sign removes the affinity of the column, with which SQLite would not use the index of the expression.
SELECT j.id, {counted_status} FROM marked m CROSS JOIN hammerwork_jobs j ON {first_parent} = +m.id
WHERE {is_marked} AND NOT {is_seed}
UNION ALL
SELECT j.id, j.status FROM marked m CROSS JOIN hammerwork_jobs_archive j ON {first_parent} = +m.id WHERE {is_archived_below}

-- name: below [mysql]
SELECT j.id, {counted_status} FROM marked m
STRAIGHT_JOIN hammerwork_jobs j FORCE INDEX (idx_hammerwork_jobs_first_parent) ON j.first_parent = m.id
WHERE {is_marked} AND NOT {is_seed}
UNION ALL
SELECT j.id, j.status FROM marked m
STRAIGHT_JOIN hammerwork_jobs_archive j FORCE INDEX (idx_hammerwork_jobs_archive_first_parent) ON j.first_parent = m.id
WHERE {is_archived_below}

-- name: below [postgresql]
-- A range, and OFFSET: see first_children.
SELECT j.id, j.status FROM marked m CROSS JOIN LATERAL (
SELECT * FROM (SELECT j.id, {counted_status} AS status FROM hammerwork_jobs j
WHERE j.depends_on[1] >= m.id AND j.depends_on[1] <= m.id AND {is_marked} AND NOT {is_seed} OFFSET 0) live
UNION ALL
SELECT * FROM (SELECT j.id, j.status FROM hammerwork_jobs_archive j
WHERE j.depends_on[1] >= m.id AND j.depends_on[1] <= m.id AND {is_archived_below} OFFSET 0) archived) j

-- name: recount
-- Reads what a join counts, the status of its parent, and its jobs by status, with one of them, in one snapshot.
WITH RECURSIVE marked (id, status) AS ({seeds} UNION ALL {below})
{comparison}

-- name: recount_all
-- Reads the same from all jobs, which finds those that nothing leads to any more, as what was above them is deleted.
WITH marked (id, status) AS (
SELECT j.id, {counted_status} FROM hammerwork_jobs j WHERE {is_marked}
UNION ALL SELECT j.id, j.status FROM hammerwork_jobs_archive j WHERE {is_marked} AND {only_in_archive})
{comparison}

-- name: comparison
-- What a join counts beside what is marked.
SELECT x.scope, x.parent_ended, x.open_jobs, x.failed_jobs, x.checked_at,
(SELECT CASE WHEN p.recurring AND p.status <> 'Completed' THEN 'recurring' ELSE p.status END FROM hammerwork_jobs p
WHERE p.id = {subject}), c.status, c.jobs, c.witness
FROM hammerwork_joins x LEFT JOIN (SELECT m.status, COUNT(*) AS jobs, MAX(CAST(m.id AS CHAR(36))) AS witness FROM marked m
WHERE m.status IS NOT NULL GROUP BY m.status) c ON TRUE
WHERE x.job_id = :id

-- name: lock
-- Locks a join.
SELECT x.parent_ended, x.open_jobs, x.failed_jobs FROM hammerwork_joins x WHERE x.job_id = :id
{lock_clause}

-- name: lock_all
-- Locks those of some joins that exist, in the order of their ids.
SELECT x.job_id FROM hammerwork_joins x {by_id} WHERE x.job_id {among} ORDER BY x.job_id
{lock_clause}

-- name: take
-- Takes the comparison of a join, unless another worker has.
UPDATE hammerwork_joins SET checked_at = :until WHERE job_id = :id AND checked_at = :seen

-- name: correct
-- Corrects what a join counts by the difference that a snapshot has shown: it stays the same whatever else is counted
-- meanwhile. Only another correction changes it, and moves checked_at.
UPDATE hammerwork_joins SET open_jobs = open_jobs + :open, failed_jobs = failed_jobs + :failed, checked_at = :until
/* if :ended_now */ , parent_ended = :ended
WHERE job_id = :id AND checked_at = :seen
