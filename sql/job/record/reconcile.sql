-- job/record/reconcile
-- $1 uuid host   $2 uuid repository   $3 uuid[] archives that the repository has
-- A record that was published within the last hour may be younger than the list, and is not missed.
WITH
present AS (
  SELECT DISTINCT archive.id FROM unnest($3::uuid[]) AS archive (id)
),
gone AS (
  UPDATE highwater.backup_record AS record
     SET state = 'missing', verified_at = clock_timestamp(), verify_result = 'not in its repository', rev = record.rev + 1
   WHERE record.host = $1 AND record.repository = $2 AND record.state = 'complete'
     AND record.kept_at < clock_timestamp() - interval '1 hour'
     AND NOT EXISTS (SELECT FROM present WHERE present.id = record.id)
  RETURNING record.id
),
back AS (
  UPDATE highwater.backup_record AS record
     SET state = 'complete', verified_at = clock_timestamp(), verify_result = 'in its repository again', rev = record.rev + 1
    FROM present
   WHERE record.id = present.id AND record.host = $1 AND record.repository = $2 AND record.state = 'missing'
  RETURNING record.id
)
SELECT gone.id, 'missing' AS became FROM gone
 UNION ALL
SELECT back.id, 'found' FROM back
 UNION ALL
SELECT present.id, CASE WHEN record.id IS NULL THEN 'unknown' ELSE 'agrees' END
  FROM present
  LEFT JOIN highwater.backup_record AS record ON record.id = present.id AND record.host = $1 AND record.repository = $2
 WHERE NOT EXISTS (SELECT FROM back WHERE back.id = present.id)
