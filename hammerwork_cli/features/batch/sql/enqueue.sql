-- New batches.

-- name: insert
-- Inserts a batch unless its id exists. hammerwork (Rust) reads the failure mode as JSON.
INSERT INTO hammerwork_batches (id, batch_name, total_jobs, pending_jobs, status, failure_mode, created_at)
VALUES (:id, :name, :total, :total, 'Pending', '"ContinueOnError"', :now)
{unless_it_exists hammerwork_batches}

-- name: stored
-- Reads what a second enqueue with the same id is compared with.
SELECT b.batch_name, b.total_jobs FROM hammerwork_batches b WHERE b.id = :id

-- name: delete
-- Deletes the row of a batch without jobs.
DELETE FROM hammerwork_batches WHERE id = :id
AND NOT EXISTS (SELECT 1 FROM hammerwork_jobs j WHERE j.batch_id = :id)
