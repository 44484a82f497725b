-- job/record_rev
-- $1 uuid: record
-- $2 uuid: host
SELECT record.rev FROM highwater.backup_record AS record WHERE record.id = $1 AND record.host = $2
