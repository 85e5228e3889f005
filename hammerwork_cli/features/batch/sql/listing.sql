-- Batches and the counts of their jobs.

-- name: batch
-- The columns of batch.model.StoredBatch, in order.
b.id, b.batch_name, b.total_jobs, b.failure_mode, b.created_at

-- name: list
-- Lists batches after a cursor, newest first.
SELECT {batch} FROM hammerwork_batches b WHERE TRUE
/* if :since */ AND b.created_at >= :since
/* if :at */ AND b.created_at <= :at
/* if :at */ AND (b.created_at < :at OR b.id < :after)
ORDER BY b.created_at DESC, b.id DESC LIMIT :limit

-- name: one
-- Reads a batch and its metadata.
SELECT {batch}, b.metadata FROM hammerwork_batches b WHERE b.id = :id

-- name: by_prefix
-- Lists the ids between the lowest and the highest with a prefix.
SELECT b.id FROM hammerwork_batches b WHERE b.id >= :low AND b.id <= :high ORDER BY b.id LIMIT :limit

-- name: counts
-- Counts the jobs of batches by the status that the rows hold.
SELECT j.batch_id, j.status, COUNT(*) FROM hammerwork_jobs j WHERE j.batch_id IN (:ids) GROUP BY j.batch_id, j.status

-- name: archived_counts
-- Counts the jobs of batches that are only in the archive.
SELECT j.batch_id, j.status, COUNT(*) FROM hammerwork_jobs_archive j
WHERE j.batch_id IN (:ids) AND {only_in_archive}
GROUP BY j.batch_id, j.status

-- name: groups
-- Counts the jobs of a batch or a workflow by queue and status.
SELECT j.queue_name, {status j}, COUNT(*) FROM hammerwork_jobs j
WHERE TRUE
/* if :batch */ AND j.batch_id = :batch
/* if :workflow */ AND j.workflow_id = :workflow
GROUP BY {by_name j.queue_name}, {status j}

-- name: archived_groups
-- The same of the jobs that are only in the archive.
SELECT j.queue_name, {status j}, COUNT(*) FROM hammerwork_jobs_archive j
WHERE {only_in_archive}
/* if :batch */ AND j.batch_id = :batch
/* if :workflow */ AND j.workflow_id = :workflow
GROUP BY {by_name j.queue_name}, {status j}
