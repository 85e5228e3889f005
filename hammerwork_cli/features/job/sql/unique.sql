-- Unique keys, and the jobs that hold them.

-- name: hold
-- Gives free keys to new jobs, and locks those that others hold, so that nobody takes one over meanwhile.
INSERT INTO hammerwork_unique (id, queue_name, unique_key, job_id) VALUES :rows
ON CONFLICT (id) DO UPDATE SET job_id = excluded.job_id WHERE FALSE

-- name: hold [mysql]
INSERT INTO hammerwork_unique (id, queue_name, unique_key, job_id) VALUES :rows
ON DUPLICATE KEY UPDATE id = hammerwork_unique.id

-- name: holders
-- Reads which jobs hold some keys. Not in one statement with their statuses: for a job that is still to be written, the
-- transaction of an application on MySQL would lock the gap in which others write theirs.
SELECT u.id, u.job_id FROM hammerwork_unique u {by_id} WHERE u.id {among} {as_it_is}

-- name: statuses
-- Reads what tells whether jobs still hold their keys.
SELECT j.id, {status j}, j.created_at FROM hammerwork_jobs j {by_id} WHERE j.id {among} {as_it_is}

-- name: take_over
-- Gives locked keys to other jobs.
INSERT INTO hammerwork_unique (id, queue_name, unique_key, job_id) VALUES :rows
ON CONFLICT (id) DO UPDATE SET job_id = excluded.job_id

-- name: take_over [mysql]
-- From a JSON list: MySQL and MariaDB name the values of an insert in different ways.
UPDATE JSON_TABLE(:listed, '$[*]' COLUMNS (id CHAR(36) CHARACTER SET utf8mb4 PATH '$[0]',
job CHAR(36) CHARACTER SET utf8mb4 PATH '$[1]')) AS e
STRAIGHT_JOIN hammerwork_unique u {by_id} ON u.id = {as_id e.id} SET u.job_id = e.job

-- name: replace
-- Changes a job that waits. A recurring one keeps its due time.
UPDATE hammerwork_jobs {by_id} SET priority = COALESCE(:priority, priority),
scheduled_at = CASE WHEN recurring THEN scheduled_at ELSE COALESCE(:scheduled_at, scheduled_at) END
/* if :payload */ , payload = :payload, is_encrypted = :is_encrypted, encryption_key_id = :encryption_key_id,
/* if :payload */ encryption_algorithm = :encryption_algorithm, encrypted_payload = :encrypted_payload,
/* if :payload */ encryption_nonce = :encryption_nonce, encryption_tag = :encryption_tag,
/* if :payload */ encryption_metadata = :encryption_metadata, payload_hash = :payload_hash, pii_fields = :pii_fields,
/* if :payload */ retention_policy = :retention_policy, retention_delete_at = :retention_delete_at,
/* if :payload */ encrypted_at = :encrypted_at
WHERE id = :id AND status IN (:waiting)

-- name: of_job
-- Reads the key that a job holds.
SELECT u.unique_key FROM hammerwork_unique u WHERE u.job_id = :id LIMIT 1

-- name: page
-- Reads the next keys, and whether the jobs that hold them exist.
SELECT u.id, CASE WHEN j.id IS NULL THEN 1 ELSE 0 END FROM hammerwork_unique u
LEFT JOIN hammerwork_jobs j ON j.id = u.job_id
WHERE TRUE
/* if :after */ AND u.id > :after
ORDER BY u.id LIMIT :limit

-- name: lock
-- Locks keys, so that no job takes one of them over.
SELECT u.id, u.job_id FROM hammerwork_unique u {by_id} WHERE u.id {among} ORDER BY u.id {lock_clause}

-- name: existing
-- Reads which of some jobs exist.
SELECT j.id FROM hammerwork_jobs j WHERE j.id {among}

-- name: forget
-- Deletes keys.
DELETE FROM hammerwork_unique WHERE id {among}

-- name: forget [mysql]
DELETE u FROM hammerwork_unique u {by_id} WHERE u.id {among}
