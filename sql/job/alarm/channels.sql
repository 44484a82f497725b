-- job/alarm/channels
-- $1 text channel's name   $2 uuid channel's id   (NULL: all)   $3 text tenant's name   $4 uuid tenant's id   (NULL: any, and none)
SELECT channel.id, tenant.name AS tenant_name, channel.tenant, channel.name, channel.kind, channel.url, channel.secret,
       channel.username, channel.sender, channel.recipients, channel.kinds, channel.min_severity, channel.enabled, channel.rev,
       (SELECT count(*) FROM highwater.alarm_delivery AS delivery
         WHERE delivery.channel = channel.id AND delivery.state = 'waiting') AS waiting,
       (SELECT count(*) FROM highwater.alarm_delivery AS delivery
         WHERE delivery.channel = channel.id AND delivery.state = 'failed') AS failed,
       (SELECT delivery.error FROM highwater.alarm_delivery AS delivery
         WHERE delivery.channel = channel.id AND delivery.state = 'waiting' AND delivery.error IS NOT NULL
         ORDER BY delivery.next_try_at DESC LIMIT 1) AS last_error
  FROM highwater.alarm_channel AS channel
  LEFT JOIN highwater.tenant AS tenant ON tenant.id = channel.tenant
 WHERE ($1::text IS NULL OR channel.name = $1 OR channel.id = $2::uuid)
   AND ($3::text IS NULL OR tenant.name = $3 OR tenant.id = $4::uuid)
 ORDER BY tenant.name NULLS FIRST, channel.name
