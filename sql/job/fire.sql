-- job/fire
-- $1 uuid: host
-- $2 uuid: schedule
-- $3 uuid: source group
-- $4 timestamptz: slot
-- A host saw a slot of its own come. The slot and its run are written, unless they are there; a slot that something has
-- run for is served already. The answer is read by a later statement, which sees what another transaction wrote first.
WITH known AS (
  SELECT schedule.tenant, schedule.host, schedule.id AS schedule, member.source_group
    FROM highwater.schedule AS schedule
    JOIN highwater.schedule_group AS member ON member.schedule = schedule.id
    JOIN highwater.source_group AS source_group ON source_group.id = member.source_group AND source_group.removed_at IS NULL
   WHERE schedule.id = $2 AND schedule.host = $1 AND member.source_group = $3
     AND schedule.enabled AND schedule.removed_at IS NULL
), slot AS (
  INSERT INTO highwater.run_slot (tenant, host, schedule, source_group, slot_at, how, why)
  SELECT known.tenant, known.host, known.schedule, known.source_group, $4::timestamptz, 'missed', 'waits for the host' FROM known
  ON CONFLICT (schedule, source_group, slot_at) DO NOTHING
), progress AS (
  INSERT INTO highwater.schedule_progress AS progress (schedule, source_group, last_slot)
  SELECT known.schedule, known.source_group, $4::timestamptz FROM known
  ON CONFLICT (schedule, source_group) DO UPDATE SET last_slot = greatest(progress.last_slot, excluded.last_slot)
), run AS (
  INSERT INTO highwater.pending_run (tenant, host, schedule, source_group, slot_at, reason, state, settled_at, why)
  SELECT known.tenant, known.host, known.schedule, known.source_group, $4::timestamptz, 'cron',
         CASE WHEN served.how IS NULL THEN 'waiting' ELSE 'superseded' END,
         CASE WHEN served.how IS NOT NULL THEN clock_timestamp() END,
         'the slot was ' || served.how || ' already'
    FROM known
    LEFT JOIN highwater.run_slot AS served
      ON served.schedule = known.schedule AND served.source_group = known.source_group AND served.slot_at = $4
     AND served.how <> 'missed'
  ON CONFLICT (schedule, source_group, slot_at) DO NOTHING
  RETURNING id
)
SELECT EXISTS (SELECT FROM run) AS is_new FROM known
