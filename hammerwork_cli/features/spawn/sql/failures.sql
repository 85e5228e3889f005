-- Failures by error.

-- name: failure
-- The columns of spawn.queries.failures, in order. Of a traceback the end is read too, where it names the error.
j.id, j.queue_name, {status j}, {failure_time}, j.depends_on, {ancestry}, j.dependency_status,
substr(j.error_message, 1, 300), {ending_of j}

-- name: ending_of
-- {ending_of j}: the end of the error of a job or an attempt, if it is a traceback.
CASE WHEN $1.error_message LIKE 'Traceback (most recent call last)%' THEN RIGHT($1.error_message, 500) END

-- name: ending_of [sqlite]
CASE WHEN $1.error_message LIKE 'Traceback (most recent call last)%' THEN substr($1.error_message, -500) END

-- name: usually_failed
-- Whether job j failed, by the usual spellings. With all spellings in one list, SQLite reads the whole table.
j.status IN ('Failed', 'Dead', 'TimedOut')

-- name: usually_failed [mysql]
-- The collation ignores letter case, so two lists would overlap.
j.status IN ('Failed', 'Dead', 'TimedOut', :oddly_failed)

-- name: oddly_failed
-- Whether job j failed, by the other spellings. SQLite uses an index only with a condition on its second column.
j.status IN (:oddly_failed) AND j.completed_at IS NULL

-- name: oddly_failed [mysql]
FALSE

-- name: asked
-- Whether a list is about job j.
{unarchived}
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :batch */ AND j.batch_id = :batch
/* if :workflow */ AND j.workflow_id = :workflow
/* if :since */ AND {failure_time} >= :since

-- name: list
-- Lists the failed jobs, and those that wait for another attempt, in no order. The first condition on failed_at is one
-- that an index answers.
SELECT {failure} FROM hammerwork_jobs j
WHERE {usually_failed} AND {status j} <> 'Cancelled' AND {asked}
/* if :since */ AND (j.failed_at >= :since OR j.failed_at IS NULL)
UNION ALL
SELECT {failure} FROM hammerwork_jobs j WHERE {oddly_failed} AND {asked}
UNION ALL
SELECT {failure} FROM hammerwork_jobs j
WHERE j.status IN ('Pending', 'Retrying') AND {status j} = 'Retrying' AND {asked}

-- name: earlier
-- Lists the errors of the earlier attempts at these jobs, each with the time of the first one.
SELECT x.start, x.ending, MIN(x.ended_at) FROM (
SELECT substr(a.error_message, 1, 300) AS start, {ending_of a} AS ending, a.ended_at
FROM hammerwork_jobs j JOIN hammerwork_attempts a ON a.job_id = j.id AND a.ended_at < {failure_time}
WHERE j.status IN ('Failed', 'Dead', 'TimedOut', 'Pending', 'Retrying') AND {asked}
AND {status j} NOT IN ('Cancelled', 'Pending')
/* if :since */ AND a.ended_at >= :since
) AS x GROUP BY {by_name x.start}, {by_name x.ending}

-- name: archived [archive]
-- Counts the failed jobs that were archived and are still in the table of jobs.
SELECT COUNT(*) FROM hammerwork_jobs j
WHERE {usually_failed} AND j.archived_at IS NOT NULL AND {status j} <> 'Cancelled'
AND (j.dependency_status IS NULL OR j.dependency_status <> 'failed')
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :batch */ AND j.batch_id = :batch
/* if :workflow */ AND j.workflow_id = :workflow
/* if :since */ AND {failure_time} >= :since

-- name: archived
SELECT 0
