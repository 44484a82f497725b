-- job/group_remove
-- $1 uuid group
WITH
schedules AS (
  DELETE FROM highwater.schedule_group WHERE source_group = $1
),
runs AS (
  UPDATE highwater.pending_run SET state = 'abandoned', why = 'the group was removed'
   WHERE source_group = $1 AND state IN ('waiting', 'claimed')
)
UPDATE highwater.source_group SET removed_at = clock_timestamp(), rev = rev + 1 WHERE id = $1
RETURNING id
