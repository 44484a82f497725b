-- job/record/request_verify
-- $1 uuid record
UPDATE highwater.backup_record SET verify_requested_at = clock_timestamp(), rev = rev + 1 WHERE id = $1
RETURNING id
