-- Duties: what one worker at a time does for the database.

-- name: times
-- Lists the duties that any worker has taken, and when each is due again.
SELECT d.name, d.due_at FROM hammerwork_duties d

-- name: holder
-- Reads who took a duty last, and when it is due again.
SELECT d.claimed_by, d.due_at FROM hammerwork_duties d WHERE {same d.name :name}

-- name: add
-- Takes a duty for the first time, unless another worker has.
INSERT INTO hammerwork_duties (name, due_at, claimed_by) VALUES (:name, :until, :worker)
ON CONFLICT (name) DO NOTHING

-- name: add [mysql]
INSERT IGNORE INTO hammerwork_duties (name, due_at, claimed_by) VALUES (:name, :until, :worker)

-- name: take
-- Takes a duty that was due at :seen, unless another worker has. The guard changes the row, so that on a replicated
-- server the commit of the loser is refused.
UPDATE hammerwork_duties SET due_at = :until, claimed_by = :worker WHERE {same name :name} AND due_at = :seen

-- name: give_up
-- Deletes a duty that no other worker has taken.
DELETE FROM hammerwork_duties WHERE {same name :name} AND claimed_by = :worker

-- name: keep
-- Extends a duty that no other worker has taken.
UPDATE hammerwork_duties SET due_at = :until WHERE {same name :name} AND claimed_by = :worker

-- name: give_up_streams
-- Lets others send the events of the streams that a lost worker has taken.
DELETE FROM hammerwork_duties WHERE claimed_by = :worker AND name LIKE 'stream %'
