-- job/record/pin
-- $1 uuid record   $2 boolean
-- No row: it is gone or going.
UPDATE highwater.backup_record
   SET pinned = $2, rev = rev + 1
 WHERE id = $1 AND state NOT IN ('pruning', 'pruned', 'failed')
RETURNING id
