-- job/write_slots
-- $1 uuid[]: schedule of each slot
-- $2 timestamptz[]: when the slot is
-- $3 uuid[]: schedules, locked by this transaction, that move on
-- $4 timestamptz[]: the next slot of each; NULL when none will come
-- $5 timestamptz: the moment up to which slots were worked out
-- $6 int8: seconds within which a slot still counts as seen in time
-- Puts slots on the ledger, each once, and the runs that they owe; the schedules move on in the same statement. A slot
-- is missed until something has run for it: that is the truth at every moment, whoever dies when. A host that is known
-- to be away is owed no run; its catch-up decides when it is back.
WITH wanted AS (
  SELECT wanted.schedule, wanted.slot_at FROM unnest($1::uuid[], $2::timestamptz[]) AS wanted (schedule, slot_at)
), expected AS (
  SELECT schedule.tenant, schedule.host, schedule.id AS schedule, member.source_group, wanted.slot_at, schedule.jitter,
         CASE
           WHEN host.state = 'retired' THEN 'retired'
           WHEN schedule.overlap = 'skip' AND EXISTS (
                  SELECT FROM highwater.backup_job AS job
                   WHERE job.host = schedule.host AND job.source_group = member.source_group
                     AND job.state IN ('queued', 'dispatched', 'running')) THEN 'overlap'
           WHEN wanted.slot_at < $5::timestamptz - $6::int8 * interval '1 second' THEN 'late'
           WHEN host.state = 'enrolling' THEN 'enrolling'
           WHEN host.mode = 'intermittent' AND host.state <> 'online' THEN 'asleep'
           ELSE 'due' END AS verdict
    FROM wanted
    JOIN highwater.schedule AS schedule ON schedule.id = wanted.schedule
    JOIN highwater.host AS host ON host.id = schedule.host
    JOIN highwater.schedule_group AS member ON member.schedule = schedule.id
    JOIN highwater.source_group AS source_group ON source_group.id = member.source_group AND source_group.removed_at IS NULL
), slot AS (
  INSERT INTO highwater.run_slot (tenant, host, schedule, source_group, slot_at, how, why)
  SELECT expected.tenant, expected.host, expected.schedule, expected.source_group, expected.slot_at,
         CASE WHEN expected.verdict IN ('retired', 'overlap') THEN 'skipped' ELSE 'missed' END,
         CASE expected.verdict
           WHEN 'retired' THEN 'the host is retired'
           WHEN 'overlap' THEN 'the group was still being backed up'
           WHEN 'late' THEN 'no worker was running'
           WHEN 'enrolling' THEN 'the host has not been enrolled'
           WHEN 'asleep' THEN 'the host was asleep'
           ELSE 'waits for the host' END
    FROM expected
  ON CONFLICT (schedule, source_group, slot_at) DO NOTHING
  RETURNING schedule, source_group, slot_at
), run AS (
  INSERT INTO highwater.pending_run (tenant, host, schedule, source_group, slot_at, reason, not_before)
  SELECT expected.tenant, expected.host, expected.schedule, expected.source_group, expected.slot_at, 'cron',
         expected.slot_at + highwater.jitter_of(expected.schedule, expected.jitter)
    FROM expected
    JOIN slot USING (schedule, source_group, slot_at)
   WHERE expected.verdict = 'due'
  ON CONFLICT (schedule, source_group, slot_at) DO NOTHING
  RETURNING id
), progress AS (
  INSERT INTO highwater.schedule_progress AS known (schedule, source_group, last_slot)
  SELECT expected.schedule, expected.source_group, max(expected.slot_at)
    FROM expected
   GROUP BY expected.schedule, expected.source_group
  ON CONFLICT (schedule, source_group) DO UPDATE SET last_slot = greatest(known.last_slot, excluded.last_slot)
), moved AS (
  UPDATE highwater.schedule AS schedule
     SET next_slot_at = moved.next_slot_at
    FROM unnest($3::uuid[], $4::timestamptz[]) AS moved (schedule, next_slot_at)
   WHERE schedule.id = moved.schedule
)
SELECT (SELECT count(*) FROM slot) AS slots, (SELECT count(*) FROM run) AS runs
