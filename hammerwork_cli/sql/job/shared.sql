-- Fragments that the statements of job/ share.

-- name: filtered
-- Whether job j fits a models.JobFilter. Statuses come in every spelling, so partial indexes on one spelling do not
-- help.
TRUE
/* if :queue */ AND {same j.queue_name :queue}
/* if :statuses */ AND j.status IN (:statuses)
/* if :priorities */ AND (j.priority IN (:priorities)
/* if :normal */ OR j.priority NOT BETWEEN 0 AND 4
/* if :priorities */ )
/* if :since */ AND j.created_at >= :since
/* if :ended_before */ AND {ended_at} < :ended_before
/* if :unarchived */ AND {unarchived}

-- name: ended_at
-- When job j ended, else when it was created.
COALESCE(j.completed_at, j.failed_at, j.timed_out_at, j.created_at)
