-- Callbacks of batches, trees and workflows, in the table of watches.

-- name: upcoming
-- Lists open callbacks that a worker has to look at until a time, and as many of a clock that was wrong.
SELECT * FROM (SELECT {callback_columns} FROM hammerwork_watches w WHERE w.state = 'open' AND w.check_at <= :until
ORDER BY w.check_at LIMIT :limit) due
UNION ALL
SELECT * FROM (SELECT {callback_columns} FROM hammerwork_watches w WHERE w.state = 'open' AND w.check_at > :latest
ORDER BY w.check_at LIMIT :limit) ahead

-- name: count_ahead
-- Counts open callbacks whose time only a wrong clock can have stored.
SELECT COUNT(*) FROM hammerwork_watches w WHERE w.state = 'open' AND w.check_at > :latest

-- name: count_uncounted
-- Counts the callbacks whose jobs a worker has yet to count.
SELECT COUNT(*) FROM hammerwork_watches w WHERE {uncounted}

-- name: workflow
-- Reads how many jobs a workflow was created with.
SELECT w.total_jobs FROM hammerwork_workflows w WHERE w.id = :id

-- name: lock_workflow
-- Lets no job join a workflow until the end of the transaction.
SELECT w.id FROM hammerwork_workflows w WHERE w.id = :id
{lock_clause}

-- name: workflow_may_spawn
-- Tells whether a worker of hammerwork (Rust) may still insert children of a job of a workflow, which it does after the
-- end of their parent.
SELECT 1 FROM hammerwork_jobs j WHERE j.workflow_id = :id AND j.completed_at BETWEEN :since AND :latest
AND {has_config} AND {by_rust} = 1 LIMIT 1

-- name: workflow_requested
-- Tells whether a job of a workflow has an open spawn request.
SELECT 1 FROM hammerwork_spawn_requests r JOIN hammerwork_jobs j ON j.id = r.job_id
WHERE r.state IN ('pending', 'running') AND j.workflow_id = :id LIMIT 1

-- name: take
-- Takes a callback that was due at :seen, unless another worker has, or it has fired.
UPDATE hammerwork_watches SET check_at = :until WHERE id = :id AND state = 'open' AND check_at = :seen

-- name: later
-- Sets when a worker has to look again, unless the last job has ended since it took the callback.
UPDATE hammerwork_watches SET check_at = :until, ended_at = :ended
WHERE id = :id AND state = 'open' AND check_at = :taken

-- name: close
-- Ends an open callback. The guard lets one worker alone enqueue the job of it; with :seen, only one that nobody has let wait
-- for another end.
UPDATE hammerwork_watches SET state = :state, changed_at = :now WHERE id = :id AND state = 'open'
/* if :seen */ AND changed_at = :seen

-- name: delete
-- Deletes the callbacks of a batch, a tree or a workflow.
DELETE FROM hammerwork_watches WHERE subject_id = :id AND {same subject :subject}
/* if :state */ AND state = :state

-- name: uncount
-- Stops counting the jobs of callbacks.
DELETE FROM hammerwork_joins WHERE job_id = :counter

-- name: forget_count
-- Stops counting the jobs of callbacks, unless one of the same subject is open.
DELETE FROM hammerwork_joins WHERE job_id = :counter
AND NOT EXISTS (SELECT 1 FROM hammerwork_watches w WHERE w.subject_id = :id AND w.state = 'open')

-- name: forget
-- Deletes callbacks that ended before a time: the last look, which the index has, sets check_at to a minute later.
DELETE FROM hammerwork_watches WHERE state IN ('fired', 'over') AND check_at < :before
