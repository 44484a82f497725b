-- job/event/write_records
-- $1 uuid tenant   $2 uuid host   $3 jsonb records, merged; their jobs are locked
-- What retention and verification have made of a record meanwhile stays: reports only move it up to complete.
INSERT INTO highwater.backup_record AS record
       (id, tenant, host, job, repository, source_group, state, has_conflict, snapshot, bytes_total, bytes_added, sha256,
        started_at, finished_at, started_by, ended_by)
SELECT new.id, $1, $2, new.job, new.repository, new.source_group, new.state, new.has_conflict, new.snapshot,
       new.bytes_total, new.bytes_added, new.sha256, new.started_at, new.finished_at, new.started_by, new.ended_by
  FROM jsonb_to_recordset($3) AS new (
         id uuid, job uuid, repository uuid, source_group uuid, state text, has_conflict boolean, snapshot text,
         bytes_total bigint, bytes_added bigint, sha256 text, started_at timestamptz, finished_at timestamptz,
         started_by bigint[], ended_by bigint[])
 ORDER BY new.id
    ON CONFLICT (id) DO UPDATE
   SET repository = excluded.repository, source_group = excluded.source_group, has_conflict = excluded.has_conflict,
       state = CASE WHEN record.state IN ('underway', 'failed', 'complete') THEN excluded.state ELSE record.state END,
       snapshot = excluded.snapshot, bytes_total = excluded.bytes_total, bytes_added = excluded.bytes_added,
       sha256 = excluded.sha256, started_at = excluded.started_at, finished_at = excluded.finished_at,
       started_by = excluded.started_by, ended_by = excluded.ended_by
 WHERE record.host = excluded.host
