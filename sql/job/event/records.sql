-- job/event/records
-- $1 uuid[] jobs   $2 uuid[] records
SELECT record.id, record.job, record.repository, record.source_group, record.state, record.has_conflict, record.snapshot,
       record.bytes_total, record.bytes_added, record.sha256, record.started_at, record.finished_at, record.started_by,
       record.ended_by
  FROM highwater.backup_record AS record
 WHERE record.job = ANY ($1) OR record.id = ANY ($2)
