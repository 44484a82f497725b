-- job/record_put
-- $1 uuid: record
-- $2 uuid: host
-- $3 uuid: job; NULL: adopted
-- $4 uuid: source group
-- $5 uuid: repository
-- $6 text: snapshot; NULL: none
-- $7 int8: bytes of the backup
-- $8 int8: bytes that it added
-- $9 text: SHA-256 of what is stored, hexadecimal; NULL: the repository vouches for it
-- $10 timestamptz: host's time before the first byte
-- $11 timestamptz: host's time when it was published
-- Completes a record that no report has completed yet. The stamp is [rank of a reported end, kind, -epoch, -seq] with the
-- least epoch and number, so that any report overrules it. No row: it was complete.
INSERT INTO highwater.backup_record AS record
       (id, tenant, host, job, repository, source_group, state, snapshot, bytes_total, bytes_added, sha256, started_at,
        finished_at, ended_by)
SELECT $1, host.tenant, host.id, $3, $5, $4, 'complete', $6, $7, $8, $9, $10, $11,
       ARRAY[8, 0, -9223372036854775807, -9223372036854775807]
  FROM highwater.host AS host
 WHERE host.id = $2
    ON CONFLICT (id) DO UPDATE
   SET state = 'complete', snapshot = excluded.snapshot, bytes_total = excluded.bytes_total,
       bytes_added = excluded.bytes_added, sha256 = excluded.sha256, finished_at = excluded.finished_at,
       started_at = coalesce(record.started_at, excluded.started_at), ended_by = excluded.ended_by
 WHERE record.ended_by IS NULL AND record.state IN ('underway', 'failed')
RETURNING record.rev
