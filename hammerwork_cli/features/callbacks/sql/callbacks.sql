-- The callbacks of trees, batches and workflows.

-- name: of_subject
-- Lists the callbacks of a tree, a batch or a workflow.
SELECT {callback_columns} FROM hammerwork_watches w WHERE w.subject_id = :id AND {same w.subject :subject}
ORDER BY w.created_at, w.event
