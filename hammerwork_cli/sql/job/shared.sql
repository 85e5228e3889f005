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
/* if :but_queues */ AND {exactly j.queue_name} NOT IN (:but_queues)
/* if :kept_until */ AND COALESCE(j.retention_policy, '') <> 'KeepIndefinitely'
/* if :kept_until */ AND (j.retention_delete_at IS NULL OR j.retention_delete_at <= :kept_until)
/* if :aged */ AND NOT j.recurring AND (FALSE
/* if :completed_before */ OR j.status IN (:completed_words) AND {ended_at} < :completed_before
/* if :failed_before */ OR j.status IN (:failed_words) AND {ended_at} < :failed_before
/* if :dead_before */ OR j.status IN (:dead_words) AND {ended_at} < :dead_before
/* if :timed_out_before */ OR j.status IN (:timed_out_words) AND {ended_at} < :timed_out_before
/* if :aged */ )

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
