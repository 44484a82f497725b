-- job/standing
-- $1 text: name of a tenant; NULL: of all
-- $2 text: id or name of a host; NULL: of all
-- How each group of each host stands: its last good backup, the age of that against what was promised, the next slot, and
-- slots that are missed. A group that was never backed up is as old as it is.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now)
SELECT tenant.name AS tenant, host.name AS host, host.id AS host_id, host.mode,
       CASE WHEN host.state = 'offline' AND host.mode = 'intermittent' THEN 'asleep' ELSE host.state END AS host_state,
       host.last_seen_at, source_group.name AS group_name, source_group.id AS source_group,
       extract(epoch FROM coalesce(source_group.rpo, host.rpo))::int8 AS rpo_seconds,
       good.finished_at AS last_success_at, good.job AS last_success_job,
       extract(epoch FROM moment.now - least(coalesce(good.finished_at, source_group.created_at), moment.now))::float8 AS age_seconds,
       coalesce(moment.now - least(coalesce(good.finished_at, source_group.created_at), moment.now)
                > coalesce(source_group.rpo, host.rpo), false) AS is_over_rpo,
       promise.next_slot_at, promise.consecutive_failures, missed.slots AS missed_slots
  FROM highwater.source_group AS source_group
  JOIN highwater.host AS host ON host.id = source_group.host
  JOIN highwater.tenant AS tenant ON tenant.id = host.tenant
 CROSS JOIN moment
  LEFT JOIN LATERAL (
    -- newest slot first; failures after the last good one are few, for they are paused between
    SELECT job.id AS job, job.finished_at
      FROM highwater.backup_job AS job
     WHERE job.source_group = source_group.id AND job.outcome = 'good' AND job.kind = 'backup'
     ORDER BY job.slot_at DESC
     LIMIT 1) AS good ON true
 CROSS JOIN LATERAL (
    SELECT min(schedule.next_slot_at) FILTER (WHERE schedule.enabled) AS next_slot_at,
           coalesce(max(progress.consecutive_failures), 0) AS consecutive_failures
      FROM highwater.schedule_group AS member
      JOIN highwater.schedule AS schedule ON schedule.id = member.schedule AND schedule.removed_at IS NULL
      LEFT JOIN highwater.schedule_progress AS progress
        ON progress.schedule = member.schedule AND progress.source_group = member.source_group
     WHERE member.source_group = source_group.id) AS promise
 CROSS JOIN LATERAL (
    SELECT count(*) AS slots
      FROM highwater.run_slot AS slot
     WHERE slot.source_group = source_group.id AND slot.how = 'missed' AND slot.slot_at > moment.now - interval '30 days') AS missed
 WHERE source_group.removed_at IS NULL AND host.state <> 'retired'
   AND ($1::text IS NULL OR tenant.name = $1) AND ($2::text IS NULL OR host.name = $2 OR host.id::text = lower($2))
 ORDER BY tenant.name, host.name, source_group.name
