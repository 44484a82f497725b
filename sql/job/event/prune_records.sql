-- job/event/prune_records
-- $1 uuid host   $2 uuid[] records whose archives the host has removed
-- The archive went first, the row follows; one that was not to go is left for a verification to find missing.
UPDATE highwater.backup_record
   SET state = 'pruned', rev = rev + 1
 WHERE id = ANY ($2) AND host = $1 AND state = 'pruning'
