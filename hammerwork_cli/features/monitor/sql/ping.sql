-- Whether the database answers.

-- name: check
-- Reads no rows of the table of jobs.
SELECT 1 FROM hammerwork_jobs WHERE 1 = 0
