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
