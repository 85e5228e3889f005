-- The jobs that a filter selects.

-- name: groups
-- Counts the jobs that fit a filter, by queue and status.
SELECT j.queue_name, {status j}, COUNT(*) FROM hammerwork_jobs j
WHERE {filtered}
GROUP BY {by_name j.queue_name}, {status j}

-- name: due_later
-- Counts the jobs among some, or among those that fit a filter, that are due later than now, with the first due time.
SELECT COUNT(*), MIN(j.scheduled_at) FROM hammerwork_jobs j
WHERE j.scheduled_at > :now AND j.started_at IS NULL AND {status j} IN (:accepted) AND
/* if :ids */ j.id {among} AND
{filtered}

-- name: blocked
-- Reads the parents of some jobs that fit a filter, and wait for others or failed because of them.
SELECT j.depends_on FROM hammerwork_jobs j
WHERE {filtered}
AND j.dependency_status IN ('waiting', 'failed') LIMIT :limit

-- name: chosen_among
-- Lists those of some jobs that fit a filter.
SELECT j.id FROM hammerwork_jobs j WHERE j.id {among} AND {filtered}

-- name: any_waiting
-- Tells whether any job waits for others.
SELECT 1 FROM hammerwork_jobs j
WHERE j.dependency_status = 'waiting' AND j.status IN (:waiting) LIMIT 1

-- name: root_ids
-- Lists the next ids of jobs that fit a filter and depend on no job that exists, in the order of the primary key.
SELECT j.id FROM hammerwork_jobs j
WHERE {filtered}
AND NOT {has_parent}
/* if :after */ AND j.id > :after
ORDER BY j.id LIMIT :limit

-- name: fitting
-- Reads queue and status of the given jobs that fit a filter, and for which no worker has yet to spawn or to count.
SELECT j.id, j.queue_name, {status j} FROM hammerwork_jobs j
WHERE j.id {among} AND NOT {has_open_request} AND NOT {is_uncounted} AND
{filtered}

-- name: reserved
-- Lists the given jobs for which a worker has yet to spawn, or which it has yet to count.
SELECT j.id, {has_open_request} FROM hammerwork_jobs j WHERE j.id {among} AND ({has_open_request} OR {is_uncounted})

-- name: any_uncounted
-- Selects a row if a worker has yet to count the jobs of any tree, batch or workflow.
SELECT 1 FROM hammerwork_watches w WHERE {uncounted} LIMIT 1

-- name: uncounted_trees
-- Lists the given jobs whose trees a worker has yet to count.
SELECT w.subject_id FROM hammerwork_watches w WHERE w.subject_id {among} AND {uncounted}

-- name: ids
-- Lists the next ids that fit a filter, in the order of the primary key.
SELECT j.id FROM hammerwork_jobs j
WHERE {filtered}
/* if :after */ AND j.id > :after
ORDER BY j.id LIMIT :limit
