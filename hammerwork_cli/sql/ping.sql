-- Whether the database can be worked with.

-- name: check
-- Nothing, from the table of jobs.
SELECT 1 FROM hammerwork_jobs WHERE 1 = 0
