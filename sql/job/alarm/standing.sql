-- job/alarm/standing
-- What is wrong for as long as it lasts, and open alarms of these kinds that are over. Each group costs one or two index look-ups.
WITH
wrong AS MATERIALIZED (
  -- Groups that are watched by an RPO and have no good record that is young enough.
  SELECT 'over_rpo' AS kind, source_group.tenant, source_group.host, source_group.id AS source_group,
         'group ' || source_group.id AS subject,
         'the last good backup of ' || source_group.name || ' on ' || host.name
           || coalesce(' is of ' || to_char(newest.kept_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC', ' does not exist')
           || '; no more than ' || coalesce(source_group.rpo, host.rpo) || ' are allowed' AS message
    FROM highwater.source_group AS source_group
    JOIN highwater.host AS host ON host.id = source_group.host AND host.state <> 'retired'
    LEFT JOIN LATERAL (
         SELECT record.kept_at FROM highwater.backup_record AS record
          WHERE record.source_group = source_group.id AND record.state = 'complete'
          ORDER BY record.kept_at DESC, record.id DESC LIMIT 1) AS newest ON true
   WHERE source_group.removed_at IS NULL
     AND coalesce(newest.kept_at, source_group.created_at) < clock_timestamp() - coalesce(source_group.rpo, host.rpo)
   UNION ALL
  -- Hosts that should always be there: their newest slot is missed, and no run of the group is in hand. One that sleeps is watched by
  -- its RPO, unless it was there and its run was given up before it began.
  SELECT DISTINCT ON (schedule.tenant, progress.source_group)
         'missed', schedule.tenant, schedule.host, progress.source_group, 'group ' || progress.source_group,
         'backup of ' || source_group.name || ' on ' || host.name || ' missed its slot of '
           || to_char(progress.last_slot AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC' || coalesce(': ' || slot.why, '')
    FROM highwater.schedule_progress AS progress
    JOIN highwater.schedule AS schedule ON schedule.id = progress.schedule AND schedule.enabled AND schedule.removed_at IS NULL
    JOIN highwater.host AS host ON host.id = schedule.host AND host.state <> 'retired'
    JOIN highwater.source_group AS source_group ON source_group.id = progress.source_group AND source_group.removed_at IS NULL
    JOIN highwater.run_slot AS slot
      ON slot.schedule = progress.schedule AND slot.source_group = progress.source_group AND slot.slot_at = progress.last_slot
   WHERE (progress.last_success_slot IS NULL OR progress.last_slot > progress.last_success_slot)
     AND slot.how = 'missed'
     AND ((host.mode = 'always_on' AND slot.slot_at < clock_timestamp() - interval '30 minutes')
          OR EXISTS (SELECT FROM highwater.pending_run AS run
                      WHERE run.schedule = slot.schedule AND run.source_group = slot.source_group AND run.slot_at = slot.slot_at
                        AND run.state = 'abandoned'))
     AND NOT EXISTS (SELECT FROM highwater.pending_run AS run
                      WHERE run.host = schedule.host AND run.source_group = progress.source_group
                        AND run.settled_at IS NULL AND run.state IN ('waiting', 'claimed', 'dispatched'))
   UNION ALL
  -- in a schema that has no such columns yet nothing is on record
  SELECT 'drift', NULL, NULL, NULL, 'rollup ' || slice.rollup,
         sum(drift.rows) || ' rows of ' || slice.rollup || ' differ from the source, the first in '
           || to_char(min(slice.slice_start) AT TIME ZONE 'UTC', 'YYYY-MM')
    FROM highwater.rollup_slice AS slice
   CROSS JOIN LATERAL (
         SELECT (to_jsonb(slice) ->> 'drifted_rows')::bigint, (to_jsonb(slice) ->> 'drifted_at')::timestamptz) AS drift (rows, at)
   WHERE drift.rows IS NOT NULL AND slice.state = 'complete' AND (drift.at < slice.finished_at) IS NOT TRUE
   GROUP BY slice.rollup
)
SELECT wrong.kind, wrong.tenant, wrong.host, wrong.source_group, wrong.subject, wrong.message, true AS holds FROM wrong
 UNION ALL
SELECT alarm.kind, alarm.tenant, alarm.host, alarm.source_group, alarm.subject, alarm.message, false
  FROM highwater.alarm AS alarm
 WHERE alarm.state <> 'resolved' AND alarm.kind IN ('over_rpo', 'missed', 'drift')
   AND NOT EXISTS (SELECT FROM wrong
                    WHERE wrong.kind = alarm.kind AND wrong.tenant IS NOT DISTINCT FROM alarm.tenant AND wrong.subject = alarm.subject)
