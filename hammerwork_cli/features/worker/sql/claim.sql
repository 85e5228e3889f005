-- Claiming jobs.

-- name: unpaused
-- {unpaused queue}: whether a queue is not paused, neither by itself nor with all queues, whose pause has the name *.
NOT EXISTS (SELECT 1 FROM hammerwork_queue_pause p WHERE p.queue_name IN ($1, '*'))

-- name: unpaused [mysql]
NOT EXISTS (SELECT 1 FROM hammerwork_queue_pause p WHERE {same p.queue_name $1})
AND NOT EXISTS (SELECT 1 FROM hammerwork_queue_pause a WHERE a.queue_name = '*')

-- name: claimable
-- Whether job j waits for a worker.
j.status = 'Pending' AND (j.dependency_status IS NULL OR j.dependency_status IN ('none', 'satisfied'))
AND {enabled}

-- name: claimable [mysql]
-- The column makes an index possible in which jobs that wait for others are not in the way.
j.claimable = 1 AND {enabled}

-- name: by_order
-- How a statement finds the claimable jobs of a queue.

-- name: by_order [mysql]
-- Without statistics, MySQL would read, lock and sort all due jobs of the queue.
FORCE INDEX (idx_hammerwork_jobs_claimable)

-- name: size
-- Bytes of the payload of job j.
length(j.payload)

-- name: size [postgresql]
-- What is stored in a row of its own size is small, and is not looked at.
CASE WHEN pg_column_size(j.payload) > 2000 THEN octet_length(j.payload::text) ELSE 0 END

-- name: is_small
-- Whether the payload of job j is read at once. That of an encrypted one is a placeholder.
{size} <= :large AND NOT j.is_encrypted

-- name: other_value
-- {other_value keys values}: whether the value that the limit goes by is none of some.
{limit_key $1} NOT IN ($2)

-- name: other_value [mysql]
-- In bytes: MariaDB takes texts for the same that end with different numbers of spaces.
CAST({limit_key $1} AS BINARY) NOT IN ($2)

-- name: ready
-- Locks the jobs of a queue that may run now, the most urgent first. It leaves large payloads out, so that hundreds of
-- jobs take little memory whatever their payloads are. With :spawning it tells which jobs have spawned, in any run; always,
-- whether the queue has a limit. With :per it tells the values that the limit goes by, and leaves out those of :full.
SELECT j.id, j.queue_name, CASE WHEN {is_small} THEN j.payload END, :columns
/* if :spawning */ , EXISTS (SELECT 1 FROM hammerwork_spawn_operations o WHERE o.parent_id = j.id AND o.outcome = 'spawned')
/* if :per */ , {limit_key :per}
, (SELECT 1 FROM hammerwork_queue_limits l WHERE {same l.queue_name :queue})
FROM hammerwork_jobs j {by_order}
WHERE {same j.queue_name :queue} AND {claimable} AND j.scheduled_at <= :now AND {unarchived}
AND {unpaused :queue}
/* if :priority */ AND j.priority = :priority
/* if :full */ AND {other_value :per :full}
/* if :left_webhooks */ AND COALESCE({webhook_of}, '') NOT IN (:left_webhooks)
ORDER BY j.priority DESC, j.scheduled_at LIMIT :limit
{skip_locked}

-- name: sizes
-- Reads the sizes of payloads.
SELECT j.id, {size} + COALESCE(length(j.encrypted_payload), 0) FROM hammerwork_jobs j WHERE j.id {among}

-- name: payloads
-- Reads the payloads of jobs.
SELECT j.id, j.payload, j.is_encrypted, {sealed} FROM hammerwork_jobs j WHERE j.id {among}

-- name: leased
-- Takes the lease of a job that is claimed.
-- It begins with the run, since hammerwork (Rust) trusts no lease that is older than the start of its run.
, last_heartbeat_at = :now, lease_expires_at = {lease_end}

-- name: claim
-- Claims locked jobs for a worker. The token stays on the row after the job has ended.
UPDATE hammerwork_jobs {by_id} SET status = 'Running', attempts = {one_more attempts}, started_at = :now,
completed_at = NULL, failed_at = NULL, timed_out_at = NULL, claim_token = :token, claimed_by = :worker, claimed_at = :now {leased}
WHERE id {among}

-- name: have_spawned
-- Reads which of these jobs have spawned, and in which run.
SELECT o.parent_id, o.occurrence FROM hammerwork_spawn_operations o
WHERE o.parent_id {among} AND o.outcome = 'spawned'

-- name: queues_of
-- Lists the queues of the jobs that some workers run.
SELECT DISTINCT {by_name j.queue_name} FROM hammerwork_jobs j
WHERE j.status = 'Running' AND j.claimed_by {among} AND {still_claimed}

-- name: scheduled
-- Counts the jobs of a queue that are scheduled for later, up to :limit.
SELECT COUNT(*) FROM (SELECT 1 AS one FROM hammerwork_jobs j {by_order}
WHERE {same j.queue_name :queue} AND {claimable} AND j.scheduled_at > :now AND {unarchived}
LIMIT :limit) AS later

-- name: awaits
-- Conditions of a job j that may run before :before, or with :after, not before that; with :once, none that recurs.
{claimable} AND {unarchived}
/* if :before */ AND j.scheduled_at <= :before
/* if :after */ AND j.scheduled_at > :after
/* if :once */ AND (j.cron_schedule IS NULL OR j.attempts > 0)

-- name: has_jobs
-- Tells whether a queue has such a job.
SELECT 1 FROM hammerwork_jobs j {by_order}
WHERE {same j.queue_name :queue} AND
{awaits}
/* if :unpaused */ AND {unpaused :queue}
LIMIT 1

-- name: listed_queues [mysql]
-- The names of a JSON list, in the collation of the connection, which is that of the columns; and to the letter, without
-- which MariaDB would answer for one name what it found for another that its collation takes for the same.
(SELECT CAST(n.name AS CHAR(255)) AS name, CAST(n.name AS BINARY) AS letters
FROM JSON_TABLE(:queues, '$[*]' COLUMNS (name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$')) AS n)

-- name: listed_queues [mysql narrow]
-- Here the columns have another character set than the connection; ASCII converts to it.
(SELECT CONVERT(n.name USING ascii) AS name, CAST(n.name AS BINARY) AS letters
FROM JSON_TABLE(:queues, '$[*]' COLUMNS (name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$')) AS n)

-- name: with_jobs [postgresql]
-- Lists those of some queues that have such a job. One look into the index for each queue: the order,
-- which nobody needs, allows no other plan in an ordered transaction.
SELECT q.name FROM jsonb_array_elements_text(CAST(:queues AS jsonb)) AS q (name)
CROSS JOIN LATERAL (SELECT 1 FROM hammerwork_jobs j
WHERE j.queue_name = q.name AND
{awaits}
ORDER BY j.priority DESC, j.scheduled_at LIMIT 1) AS j
/* if :unpaused */ WHERE {unpaused q.name}

-- name: with_jobs [mysql]
-- Not EXISTS: MariaDB would first collect the queues of all jobs.
SELECT q.name FROM {listed_queues} AS q
WHERE (SELECT 1 FROM hammerwork_jobs j {by_order}
WHERE j.queue_name = q.name AND CAST(CONVERT(j.queue_name USING utf8mb4) AS BINARY) = q.letters AND
{awaits}
LIMIT 1) IS NOT NULL
/* if :unpaused */ AND {unpaused q.letters}

-- name: with_jobs [sqlite]
-- The plus sign keeps it from the index of all due times.
SELECT q.value FROM json_each(:queues) AS q
WHERE EXISTS (SELECT 1 FROM hammerwork_jobs j
WHERE j.queue_name = q.value AND
{awaits}
)
/* if :unpaused */ AND {unpaused q.value}
