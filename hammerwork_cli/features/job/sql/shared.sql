-- Fragments that the statements of job/ share.

-- name: filtered
-- Whether job j fits a JobFilter. Statuses come in every spelling, so partial indexes on one spelling do not
-- help.
TRUE
/* if :queues */ AND {one_of j.queue_name :queues}
/* if :batches */ AND j.batch_id IN (:batches)
/* if :workflows */ AND j.workflow_id IN (:workflows)
/* if :statuses */ AND j.status IN (:statuses)
/* if :derived */ AND {status j} IN (:derived)
/* if :priorities */ AND (j.priority IN (:priorities)
/* if :normal */ OR j.priority NOT BETWEEN 0 AND 4
/* if :priorities */ )
/* if :since */ AND j.created_at >= :since
/* if :until */ AND j.created_at < :until
/* if :ended_before */ AND {ended_before :ended_before}
/* if :unarchived */ AND {unarchived}
/* if :failed_since */ AND {failure_time} >= :failed_since
/* if :exhausted */ AND j.attempts >= j.max_attempts
/* if :error */ AND {contains j.error_message :error}
/* if :payload */ AND {has_payload :payload}
/* if :but_queues */ AND {exactly j.queue_name} NOT IN (:but_queues)
/* if :kept_until */ AND COALESCE(j.retention_policy, '') <> 'KeepIndefinitely'
/* if :kept_until */ AND (j.retention_delete_at IS NULL OR j.retention_delete_at <= :kept_until)
/* if :expired */ AND j.is_encrypted AND j.retention_delete_at <= :expired
/* if :once */ AND NOT j.recurring
/* if :aged */ AND (FALSE
/* if :completed_before */ OR j.status IN (:completed_words) AND {ended_before :completed_before}
/* if :failed_before */ OR j.status IN (:failed_words) AND {ended_before :failed_before}
/* if :dead_before */ OR j.status IN (:dead_words) AND {ended_before :dead_before}
/* if :timed_out_before */ OR j.status IN (:timed_out_words) AND {ended_before :timed_out_before}
/* if :aged */ )

-- name: has_payload
-- {has_payload wanted}: whether the payload of job j has one of some texts, or fits one of some patterns, at each of some
-- keys. A number, true, false and null are compared as JSON writes them.
NOT EXISTS (SELECT 1 FROM (SELECT w.texts, w.likes, CASE jsonb_typeof(w.stored)
WHEN 'string' THEN w.stored #>> '{}' ELSE CAST(w.stored AS TEXT) END AS found
FROM (SELECT w.value -> 'texts' AS texts, w.value -> 'likes' AS likes, j.payload #> ARRAY(
SELECT jsonb_array_elements_text(w.value -> 'keys')) AS stored
FROM jsonb_array_elements(CAST($1 AS JSONB)) AS w) AS w) AS wanted
WHERE NOT COALESCE(jsonb_exists(wanted.texts, wanted.found) OR EXISTS (SELECT 1
FROM jsonb_array_elements_text(wanted.likes) AS l (pattern) WHERE wanted.found LIKE l.pattern ESCAPE '!'), FALSE))

-- name: has_payload [mysql]
NOT EXISTS (SELECT 1 FROM JSON_TABLE($1, '$[*]' COLUMNS (
path VARCHAR(1000) CHARACTER SET utf8mb4 PATH '$.path', texts JSON PATH '$.texts',
NESTED PATH '$.likes[*]' COLUMNS (pattern VARCHAR(4000) CHARACTER SET utf8mb4 PATH '$'))) AS wanted
GROUP BY wanted.path
HAVING SUM(COALESCE(JSON_CONTAINS(wanted.texts, JSON_QUOTE(JSON_UNQUOTE(JSON_EXTRACT(j.payload, wanted.path)))), FALSE)
OR COALESCE(CONVERT(JSON_UNQUOTE(JSON_EXTRACT(j.payload, wanted.path)) USING utf8mb4) COLLATE utf8mb4_bin
LIKE wanted.pattern COLLATE utf8mb4_bin ESCAPE '!', FALSE)) = 0)

-- name: has_payload [sqlite]
NOT EXISTS (SELECT 1 FROM (SELECT w.texts, w.globs, CASE WHEN json_valid(j.payload) THEN CASE json_type(j.payload, w.path)
WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' WHEN 'null' THEN 'null'
ELSE CAST(json_extract(j.payload, w.path) AS TEXT) END END AS found
FROM (SELECT json_extract(w.value, '$.path') AS path, json_extract(w.value, '$.texts') AS texts,
json_extract(w.value, '$.globs') AS globs FROM json_each($1) AS w) AS w) AS wanted
WHERE NOT COALESCE(wanted.found IN (SELECT value FROM json_each(wanted.texts))
OR EXISTS (SELECT 1 FROM json_each(wanted.globs) AS g WHERE wanted.found GLOB g.value), FALSE))

-- name: ended_before
-- {ended_before time}: whether all that the row of job j tells of its course was before a time. The column of its status
-- alone does not tell the end: hammerwork (Rust) keeps the failed_at of an earlier failure when it retries a batch, and
-- writes none for jobs that it declares dead. The due time of a job that never started may still be to come.
(j.created_at < $1
AND (j.completed_at IS NULL OR j.completed_at < $1)
AND (j.failed_at IS NULL OR j.failed_at < $1)
AND (j.timed_out_at IS NULL OR j.timed_out_at < $1)
AND (j.started_at IS NULL OR (j.started_at < $1 AND j.scheduled_at < $1)))

-- name: has_open_request
-- Whether a worker has yet to spawn for job j.
EXISTS (SELECT 1 FROM hammerwork_spawn_requests r WHERE r.job_id = j.id AND r.state IN ('pending', 'running'))

-- name: is_uncounted
-- Whether a worker has yet to count job j for a callback of its tree, its batch or its workflow.
(EXISTS (SELECT 1 FROM hammerwork_watches w WHERE w.subject_id = j.id AND {uncounted})
OR EXISTS (SELECT 1 FROM hammerwork_watches w WHERE w.subject_id = j.batch_id AND {uncounted})
OR EXISTS (SELECT 1 FROM hammerwork_watches w WHERE w.subject_id = j.workflow_id AND {uncounted}))

-- name: as_it_is
-- Reads what others have committed, as all transactions but those of applications do.

-- name: as_it_is [mysql borrowed]
LOCK IN SHARE MODE
