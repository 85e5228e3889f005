-- Fragments that the statements of job/ share.

-- name: filtered
-- Whether job j fits a models.JobFilter. Statuses come in every spelling, so partial indexes on one spelling do not
-- help.
TRUE
/* if :queue */ AND {same j.queue_name :queue}
/* if :statuses */ AND j.status IN (:statuses)
/* if :meant */ AND {status j} IN (:meant)
/* if :priorities */ AND (j.priority IN (:priorities)
/* if :normal */ OR j.priority NOT BETWEEN 0 AND 4
/* if :priorities */ )
/* if :since */ AND j.created_at >= :since
/* if :until */ AND j.created_at < :until
/* if :ended_before */ AND {ended_at} < :ended_before
/* if :unarchived */ AND {unarchived}
/* if :failed_since */ AND {failure_time} >= :failed_since
/* if :error */ AND {contains j.error_message :error}

-- name: contains [postgresql]
-- {contains column pattern}: whether a text fits a pattern of LIKE whose escape is !, in any letter case. PostgreSQL and
-- MySQL know the case of all letters, SQLite that of A to Z.
$1 ILIKE $2 ESCAPE '!'

-- name: contains [mysql]
-- Without the collation, which also ignores accents.
LOWER(CONVERT($1 USING utf8mb4)) COLLATE utf8mb4_bin LIKE LOWER(CONVERT($2 USING utf8mb4)) COLLATE utf8mb4_bin ESCAPE '!'

-- name: contains [sqlite]
$1 LIKE $2 ESCAPE '!'

-- name: ended_at
-- When job j ended, else when it was created.
COALESCE(j.completed_at, j.failed_at, j.timed_out_at, j.created_at)
