-- job/hosts
-- $1 text tenant's name   $2 uuid tenant's id   $3 uuid one host   $4 integer at most so many   (NULL: all)
-- What it takes to see whether a host is well: each number comes from an index range of that host.
SELECT host.id, tenant.name AS tenant_name, host.name, host.mode, host.tz, host.state, host.max_concurrent,
       (extract(epoch FROM host.rpo))::bigint AS rpo_seconds, host.last_hello_at, host.last_seen_at, host.skew_ms,
       host.outbox_pending, host.rev,
       (SELECT count(*) FROM highwater.source_group AS source_group
         WHERE source_group.host = host.id AND source_group.removed_at IS NULL) AS groups,
       (SELECT max(newest.kept_at)
          FROM highwater.source_group AS source_group
         CROSS JOIN LATERAL (
               SELECT record.kept_at FROM highwater.backup_record AS record
                WHERE record.source_group = source_group.id AND record.state = 'complete'
                ORDER BY record.kept_at DESC, record.id DESC LIMIT 1) AS newest
         WHERE source_group.host = host.id) AS last_success_at,
       (SELECT min(schedule.next_slot_at) FROM highwater.schedule AS schedule
         WHERE schedule.host = host.id AND schedule.enabled AND schedule.removed_at IS NULL) AS next_slot_at,
       (SELECT count(*) FROM highwater.run_slot AS slot
         WHERE slot.host = host.id AND slot.slot_at >= now() - interval '30 days' AND slot.how = 'missed') AS missed
  FROM highwater.host AS host
  JOIN highwater.tenant AS tenant ON tenant.id = host.tenant
 WHERE ($1::text IS NULL OR tenant.name = $1 OR tenant.id = $2)
   AND ($3::uuid IS NULL AND host.state <> 'retired' OR host.id = $3)
 ORDER BY tenant.name, host.name
 LIMIT $4
