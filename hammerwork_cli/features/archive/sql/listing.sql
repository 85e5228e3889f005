-- Lists of archived jobs.

-- name: filtered
-- Whether the archived job j fits a archive.models.lists.ArchiveFilter.
TRUE
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :statuses */ AND j.status IN (:statuses)
/* if :derived */ AND {status j} IN (:derived)
/* if :since */ AND j.archived_at >= :since
/* if :before */ AND j.archived_at < :before
/* if :but_queues */ AND {exactly j.queue_name} NOT IN (:but_queues)
/* if :kept_until */ AND COALESCE(j.retention_policy, '') <> 'KeepIndefinitely'
/* if :kept_until */ AND (j.retention_delete_at IS NULL OR j.retention_delete_at <= :kept_until)
/* if :expired */ AND j.is_encrypted AND j.retention_delete_at <= :expired

-- name: list
-- Lists archived jobs after a cursor, the most recently archived first. The wide columns are read only for the
-- page.
SELECT j.id, j.queue_name, {status j}, j.priority, j.attempts, j.created_at,
COALESCE(j.completed_at, j.failed_at, j.timed_out_at), j.archived_at, j.archival_reason, j.archived_by,
length(j.payload), j.original_payload_size, substr(j.error_message, 1, 500)
FROM hammerwork_jobs_archive j JOIN (
SELECT j.id FROM hammerwork_jobs_archive j
WHERE {filtered}
/* if :at */ AND j.archived_at <= :at
/* if :at */ AND (j.archived_at < :at OR j.id < :after)
ORDER BY j.archived_at DESC, j.id DESC LIMIT :limit OFFSET :offset) AS p ON p.id = j.id
ORDER BY j.archived_at DESC, j.id DESC

-- name: archived_at
-- Reads when a job was archived.
SELECT j.archived_at FROM hammerwork_jobs_archive j WHERE j.id = :id

-- name: sums
-- Counts archived jobs and adds up their payloads, by queue and reason.
SELECT j.queue_name, j.archival_reason, COUNT(*), SUM(length(j.payload)),
SUM(COALESCE(j.original_payload_size, length(j.payload))), MIN(j.archived_at), MAX(j.archived_at)
FROM hammerwork_jobs_archive j
/* if :queues */ WHERE {one_of j.queue_name :queues}
GROUP BY {by_name j.queue_name}, j.archival_reason
ORDER BY j.queue_name, j.archival_reason

-- name: groups
-- Counts the archived jobs that fit a filter, by queue and status.
SELECT j.queue_name, {status j}, COUNT(*) FROM hammerwork_jobs_archive j
WHERE {filtered}
GROUP BY {by_name j.queue_name}, {status j}

-- name: states
-- Reads queue and status of archived jobs.
SELECT j.queue_name, {status j} FROM hammerwork_jobs_archive j WHERE j.id {among}

-- name: ids
-- Lists the next archived jobs that fit a filter, the earliest archived first.
SELECT j.id, j.archived_at FROM hammerwork_jobs_archive j
WHERE {filtered}
/* if :at */ AND j.archived_at >= :at
/* if :at */ AND (j.archived_at > :at OR j.id > :after)
ORDER BY j.archived_at, j.id LIMIT :limit
