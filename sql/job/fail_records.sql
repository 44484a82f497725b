-- job/fail_records
-- $1 uuid[] jobs that have ended without a backup
-- Nothing will come of what they had begun; a late report of its publication still makes it complete.
UPDATE highwater.backup_record
   SET state = 'failed'
 WHERE job = ANY ($1) AND state = 'underway'
