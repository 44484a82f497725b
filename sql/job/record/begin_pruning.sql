-- job/record/begin_pruning
-- $1 uuid group, locked   $2 uuid repository   $3 uuid[] records that are to go   $4 text[] why each does
-- Marks them, unless they were pinned meanwhile, and returns them with those that were marked before and are still there.
WITH
marked AS (
  UPDATE highwater.backup_record AS record
     SET state = 'pruning', prune_reason = going.why, rev = record.rev + 1
    FROM unnest($3::uuid[], $4::text[]) AS going (id, why)
   WHERE record.id = going.id AND record.source_group = $1 AND record.repository = $2 AND record.state = 'complete' AND NOT record.pinned
  RETURNING record.id, record.snapshot, record.prune_reason, record.kept_at
)
SELECT marked.id, marked.snapshot, marked.prune_reason, marked.kept_at FROM marked
 UNION ALL
SELECT record.id, record.snapshot, record.prune_reason, record.kept_at
  FROM highwater.backup_record AS record
 WHERE record.source_group = $1 AND record.repository = $2 AND record.state = 'pruning'
 ORDER BY kept_at, id
