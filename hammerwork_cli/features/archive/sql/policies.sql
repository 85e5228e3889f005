-- Retention policies, and the jobs that they take.

-- name: list
-- Lists the policies by queue, or that of one queue.
SELECT p.queue_name, p.action, :ages, p.archive_seconds, p.by_tree, p.compression_level, p.enabled, p.updated_at, p.updated_by,
p.last_run_at, p.last_jobs, p.last_error
FROM hammerwork_retention p
/* if :queues */ WHERE {one_of p.queue_name :queues}
ORDER BY p.queue_name

-- name: add
-- Adds a policy.
INSERT INTO hammerwork_retention (queue_name, action, :ages, archive_seconds, by_tree, compression_level, enabled, updated_at,
updated_by)
VALUES (:queue, :action, :seconds, :archive, :by_tree, :level, :enabled, :now, :by)

-- name: remove
-- Removes the policy of a queue.
DELETE FROM hammerwork_retention WHERE {same queue_name :queue}

-- name: note
-- Notes that a worker has carried out a policy.
UPDATE hammerwork_retention SET last_run_at = :now, last_jobs = :jobs, last_error = :error
WHERE {same queue_name :queue}

-- name: past
-- Whether job j is encrypted, and its program keeps it no longer; after a place in the order of its time for each.
{only_encrypted} AND j.retention_delete_at <= :now
/* if :at */ AND j.retention_delete_at >= :at
/* if :at */ AND (j.retention_delete_at > :at OR j.id > :after)

-- name: expired
-- Lists encrypted jobs that have ended and that their program keeps no longer.
SELECT j.id, j.retention_delete_at FROM hammerwork_jobs j
WHERE j.status IN (:statuses) AND
{past}
ORDER BY j.retention_delete_at, j.id LIMIT :limit

-- name: expired_in_archive
-- The same of archived jobs.
SELECT j.id, j.retention_delete_at FROM hammerwork_jobs_archive j
WHERE
{past}
ORDER BY j.retention_delete_at, j.id LIMIT :limit

-- name: old
-- Lists jobs in one status that ended before a time and depend on no job that exists, the oldest first. The indexes of
-- hammerwork (Rust) have only jobs that it has not copied to the archive. :ended is a name.
SELECT j.id, j.:ended FROM hammerwork_jobs j
WHERE j.status = :status AND j.:ended < :before AND {unarchived} AND NOT j.recurring
/* if :at */ AND j.:ended >= :at
/* if :at */ AND (j.:ended > :at OR j.id > :after)
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :but_queues */ AND {exactly j.queue_name} NOT IN (:but_queues)
/* if :rooted */ AND NOT {has_parent}
ORDER BY j.:ended, j.id LIMIT :limit
