-- job/fired
-- $1 uuid: schedule
-- $2 uuid: source group
-- $3 timestamptz: slot
SELECT run.id, run.state
  FROM highwater.pending_run AS run
 WHERE run.schedule = $1 AND run.source_group = $2 AND run.slot_at = $3
