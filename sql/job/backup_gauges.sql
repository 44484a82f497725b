-- job/backup_gauges
-- What a monitor watches: groups over their RPO, runs that wait, hosts that are armed, missed slots of the last day.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now)
SELECT (SELECT count(*)
          FROM highwater.source_group AS source_group
          JOIN highwater.host AS host ON host.id = source_group.host AND host.state <> 'retired'
          LEFT JOIN LATERAL (
            SELECT job.finished_at FROM highwater.backup_job AS job
             WHERE job.source_group = source_group.id AND job.outcome = 'good' AND job.kind = 'backup'
             ORDER BY job.slot_at DESC LIMIT 1) AS good ON true
         WHERE source_group.removed_at IS NULL
           AND moment.now - least(coalesce(good.finished_at, source_group.created_at), moment.now)
               > coalesce(source_group.rpo, host.rpo)) AS over_rpo,
       (SELECT count(*) FROM highwater.pending_run AS run
         WHERE run.settled_at IS NULL AND run.state = 'waiting') AS waiting,
       (SELECT count(*) FROM highwater.backup_job AS job
         WHERE job.state IN ('queued', 'dispatched', 'running')) AS in_hand,
       (SELECT count(*) FROM highwater.catchup_arm) AS armed,
       (SELECT count(*) FROM highwater.schedule AS schedule
         WHERE schedule.enabled AND schedule.removed_at IS NULL
           AND schedule.next_slot_at < moment.now - interval '1 minute') AS late_schedules
  FROM moment
