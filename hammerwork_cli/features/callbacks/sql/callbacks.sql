-- The callbacks of trees, batches and workflows.

-- name: of_subject
-- Lists the callbacks of a tree, a batch or a workflow.
SELECT {callback_columns} FROM hammerwork_watches w WHERE w.subject_id = :id AND {same w.subject :subject}
ORDER BY w.created_at, w.event

-- name: of_subjects
-- Lists the callbacks of some trees, batches and workflows, or those that are not open.
SELECT w.id, w.subject_id, w.job FROM hammerwork_watches w WHERE w.subject_id IN (:ids)
/* if :done */ AND w.state <> 'open'

-- name: any_open_job
-- Selects a row if a job has yet to end, but for deliveries.
SELECT 1 FROM {by_state}
WHERE j.status IN ('Pending', 'Running', 'Retrying') AND {unarchived} AND NOT {same j.queue_name :deliveries} LIMIT 1
