-- What somebody has noted of ends, and what comes again since jobs run again.

-- name: groups
-- Lists the workflows of some jobs, and their batches.
SELECT j.workflow_id FROM hammerwork_jobs j WHERE j.id {among} AND j.workflow_id IS NOT NULL
/* if :batches */ UNION SELECT j.batch_id FROM hammerwork_jobs j WHERE j.id {among} AND j.batch_id IS NOT NULL

-- name: announce_again
-- Lets workers write the events of ends again. It takes open callbacks, too: a worker that has counted their jobs may be about to
-- write an event, which changed_at stops. check_at comes first: on MySQL, an assignment sees those before it.
UPDATE hammerwork_watches
SET check_at = CASE WHEN state = 'open' AND ended_at IS NULL THEN check_at ELSE :now END, state = 'open', ended_at = NULL,
changed_at = :now
WHERE id {among}

-- name: any_skipping_trees
-- Looks for a schedule that waits for the trees of its runs.
SELECT 1 FROM hammerwork_schedules s WHERE s.overlap = 'skip-tree' LIMIT 1

-- name: look_again
-- Forgets that the trees of the runs with these jobs have ended. It also takes the rows of which nobody has noted that yet:
-- somebody may be looking at their trees, and about to.
UPDATE hammerwork_schedule_runs SET tree_ended = NULL WHERE job_id {among}
