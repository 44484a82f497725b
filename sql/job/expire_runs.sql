-- job/expire_runs
-- $1 int8: seconds after its slot within which a run that is not caught up with must have begun
-- Owed runs that will never start, each with the reason: its schedule, group or host is gone, its deadline or window is over,
-- or it is of a schedule that makes up for nothing. A retry, and one asked for by hand, knows no deadline but the window.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
judged AS MATERIALIZED (
  SELECT run.id,
         CASE
           WHEN host.state = 'retired' THEN 'the host is retired'
           WHEN source_group.removed_at IS NOT NULL THEN 'the group was removed'
           WHEN schedule.removed_at IS NOT NULL THEN 'the schedule was removed'
           WHEN NOT schedule.enabled THEN 'the schedule was disabled'
         END AS gone,
         CASE
           WHEN run.schedule IS NULL THEN NULL
           WHEN run.attempt = 1 AND moment.now > run.slot_at + schedule.start_deadline
             THEN 'could not start within its deadline'
           WHEN run.attempt = 1 AND run.reason = 'cron' AND schedule.catchup = 'none'
                AND moment.now > greatest(run.slot_at + $1::int8 * interval '1 second', run.not_before + $1 * interval '1 second')
             THEN 'the host was away, and its schedule makes up for nothing'
           WHEN schedule.catchup <> 'none' AND moment.now > run.slot_at + schedule.catchup_window
                AND moment.now > run.not_before + $1 * interval '1 second'
             THEN 'outside the catch-up window'
         END AS late
    FROM highwater.pending_run AS run
    JOIN highwater.host AS host ON host.id = run.host
    JOIN highwater.source_group AS source_group ON source_group.id = run.source_group
    LEFT JOIN highwater.schedule AS schedule ON schedule.id = run.schedule
   CROSS JOIN moment
   WHERE run.settled_at IS NULL AND run.state = 'waiting'
), over AS (
  UPDATE highwater.pending_run AS run
     SET state = CASE WHEN judged.gone IS NULL THEN 'expired' ELSE 'abandoned' END, settled_at = moment.now,
         why = coalesce(judged.gone, judged.late)
    FROM judged CROSS JOIN moment
   WHERE run.id = judged.id AND run.state = 'waiting' AND coalesce(judged.gone, judged.late) IS NOT NULL
  RETURNING run.schedule, run.source_group, run.slot_at, run.why
), told AS (
  UPDATE highwater.run_slot AS slot
     SET why = over.why
    FROM over
   WHERE slot.schedule = over.schedule AND slot.source_group = over.source_group AND slot.slot_at = over.slot_at
     AND slot.how = 'missed'
)
SELECT count(*) AS over FROM over
