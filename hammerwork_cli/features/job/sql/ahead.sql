-- Jobs that wait for a time that a wrong clock has stored.

-- name: created
-- Lists jobs that were created after now and wait, with the time from which their pauses count.
SELECT j.id, j.queue_name, j.status, j.created_at, j.scheduled_at FROM hammerwork_jobs j
WHERE j.created_at > :latest AND j.scheduled_at > :latest AND j.status = 'Pending' AND NOT j.recurring
/* if :queues */ AND {one_of j.queue_name :queues}
ORDER BY j.created_at, j.id LIMIT :limit

-- name: retried
-- Lists jobs that wait for another attempt since one that ended after now.
SELECT j.id, j.queue_name, j.status,
(SELECT MAX(b.ended_at) FROM hammerwork_attempts b WHERE b.job_id = j.id), j.scheduled_at FROM hammerwork_jobs j
WHERE j.scheduled_at > :latest AND j.status = 'Pending' AND (j.attempts > 0 OR j.claim_token IS NOT NULL)
AND EXISTS (SELECT 1 FROM hammerwork_attempts a WHERE a.job_id = j.id AND a.ended_at > :latest)
/* if :queues */ AND {one_of j.queue_name :queues}
ORDER BY j.scheduled_at, j.id LIMIT :limit

-- name: put_back
-- Lets a job wait from now on, unless it has changed.
UPDATE hammerwork_jobs SET scheduled_at = :at, created_at = CASE WHEN created_at > :now THEN :now ELSE created_at END
WHERE id = :id AND status = 'Pending' AND scheduled_at = :seen

-- name: put_attempts_back
-- Lets the attempts of a job end now that ended later.
UPDATE hammerwork_attempts SET ended_at = :now WHERE job_id = :id AND ended_at > :now

-- name: ended
-- Lists jobs that ended after now, by the indexes of ends.
SELECT x.id FROM (SELECT j.id FROM hammerwork_jobs j
WHERE j.status = 'Completed' AND {unarchived} AND j.completed_at > :latest ORDER BY j.completed_at DESC LIMIT :limit) AS x
UNION ALL SELECT y.id FROM (SELECT j.id FROM hammerwork_jobs j
WHERE j.status IN ('Failed', 'Dead') AND j.failed_at > :latest ORDER BY j.failed_at DESC LIMIT :limit) AS y

-- name: put_ends_back
-- Lets jobs have ended by a time that ended later, unless they have begun again.
UPDATE hammerwork_jobs {by_id} SET completed_at = CASE WHEN completed_at > :at THEN :at ELSE completed_at END,
failed_at = CASE WHEN failed_at > :at THEN :at ELSE failed_at END,
started_at = CASE WHEN started_at > :at THEN :at ELSE started_at END,
run_started_at = CASE WHEN run_started_at > :at THEN :at ELSE run_started_at END,
created_at = CASE WHEN created_at > :at THEN :at ELSE created_at END
WHERE id {among} AND status IN ('Completed', 'Failed', 'Dead')
