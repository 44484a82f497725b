-- job/record/verified
-- $1 uuid record   $2 text complete, missing or corrupt   $3 text what was found
-- No row: it is not one of which something should be there.
UPDATE highwater.backup_record
   SET state = $2, verified_at = clock_timestamp(), verify_result = $3, verify_requested_at = NULL, rev = rev + 1
 WHERE id = $1 AND state IN ('complete', 'missing', 'corrupt')
RETURNING id
