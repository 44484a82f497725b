-- job/alarm/list
-- $1 text tenant's name   $2 uuid tenant's id   (NULL: all)   $3 boolean resolved ones too   $4 integer at most so many
SELECT alarm.id, tenant.name AS tenant_name, host.name AS host_name, source_group.name AS group_name, alarm.job, alarm.kind,
       alarm.state, alarm.message, alarm.times, alarm.raised_at, alarm.last_at, alarm.acknowledged_at, alarm.acknowledged_by,
       alarm.resolved_at,
       (SELECT count(*) FROM highwater.alarm_delivery AS delivery
         WHERE delivery.alarm = alarm.id AND delivery.state <> 'delivered') AS undelivered
  FROM highwater.alarm AS alarm
  LEFT JOIN highwater.tenant AS tenant ON tenant.id = alarm.tenant
  LEFT JOIN highwater.host AS host ON host.id = alarm.host
  LEFT JOIN highwater.source_group AS source_group ON source_group.id = alarm.source_group
 WHERE ($1::text IS NULL OR tenant.name = $1 OR tenant.id = $2)
   AND ($3 OR alarm.state <> 'resolved')
 ORDER BY alarm.raised_at DESC, alarm.id DESC
 LIMIT $4
