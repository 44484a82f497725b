-- job/record_compare
-- $1 uuid: record, complete
-- $2 text: SHA-256 that was put; NULL: none
-- Whether a put says what was said before; where not, the record is marked as contradicted.
UPDATE highwater.backup_record AS record
   SET has_conflict = record.has_conflict OR record.sha256 IS DISTINCT FROM $2
 WHERE record.id = $1
RETURNING record.rev, record.sha256 IS NOT DISTINCT FROM $2 AS is_same
