-- Fragments that the statements of job/ share.

-- name: filtered
-- The jobs of a models.JobFilter. Statuses come in every spelling, which partial indexes on one spelling cannot serve.
TRUE
AND {same j.queue_name :queue} -- when :queue
AND j.status IN (:statuses) -- when :statuses
AND (j.priority IN (:priorities) -- when :priorities
OR j.priority NOT BETWEEN 0 AND 4 -- when :normal
) -- when :priorities
AND j.created_at >= :since -- when :since
AND {ended_at} < :ended_before -- when :ended_before
AND {unarchived} -- when :unarchived

-- name: ended_at
COALESCE(j.completed_at, j.failed_at, j.timed_out_at, j.created_at)
