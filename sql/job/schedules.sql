-- job/schedules
-- $1 text: id or name of a host; NULL: of all
-- $2 text: name of a tenant; NULL: of all
-- $3 text: id of one schedule, removed or not; NULL: all that are in use
SELECT schedule.id, tenant.name AS tenant, schedule.tenant AS tenant_id, host.name AS host, schedule.host AS host_id,
       schedule.cron, schedule.tz, schedule.enabled, schedule.catchup, schedule.overlap, schedule.next_slot_at,
       schedule.created_at, schedule.removed_at, schedule.rev,
       extract(epoch FROM schedule.catchup_window)::int8 AS catchup_window_seconds,
       extract(epoch FROM schedule.settle)::int8 AS settle_seconds,
       extract(epoch FROM schedule.jitter)::int8 AS jitter_seconds,
       extract(epoch FROM highwater.jitter_of(schedule.id, schedule.jitter))::float8 AS own_jitter_seconds,
       extract(epoch FROM schedule.start_deadline)::int8 AS start_deadline_seconds,
       member.names AS groups, member.ids AS group_ids, progress.last_slot, progress.last_success_slot, progress.last_success_at,
       progress.consecutive_failures, progress.backoff_until
  FROM highwater.schedule AS schedule
  JOIN highwater.host AS host ON host.id = schedule.host
  JOIN highwater.tenant AS tenant ON tenant.id = schedule.tenant
 CROSS JOIN LATERAL (
   SELECT coalesce(array_agg(source_group.name ORDER BY source_group.name), '{}') AS names,
          coalesce(array_agg(source_group.id ORDER BY source_group.name), '{}') AS ids
     FROM highwater.schedule_group AS member
     JOIN highwater.source_group AS source_group ON source_group.id = member.source_group AND source_group.removed_at IS NULL
    WHERE member.schedule = schedule.id) AS member
 CROSS JOIN LATERAL (
   -- of several groups the one that is worst off
   SELECT max(progress.last_slot) AS last_slot, max(progress.consecutive_failures) AS consecutive_failures,
          max(progress.backoff_until) AS backoff_until,
          CASE WHEN count(*) = count(progress.last_success_slot) THEN min(progress.last_success_slot) END AS last_success_slot,
          CASE WHEN count(*) = count(progress.last_success_at) THEN min(progress.last_success_at) END AS last_success_at
     FROM highwater.schedule_progress AS progress
    WHERE progress.schedule = schedule.id) AS progress
 WHERE ($1::text IS NULL OR host.name = $1 OR host.id::text = lower($1))
   AND ($2::text IS NULL OR tenant.name = $2)
   AND CASE WHEN $3::text IS NULL THEN schedule.removed_at IS NULL ELSE schedule.id::text = lower($3) END
 ORDER BY tenant.name, host.name, schedule.id
