-- job/alarm/claim_deliveries
-- $1 int8 seconds for which they are in hand: whoever dies with them loses them then
-- Takes what is due, a few for each channel (the LIMIT), and of one alarm only what comes first: nobody hears that something
-- is over before hearing of it.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
due AS MATERIALIZED (
  SELECT next.id
    FROM highwater.alarm_channel AS channel
   CROSS JOIN moment
   CROSS JOIN LATERAL (
         SELECT delivery.id
           FROM highwater.alarm_delivery AS delivery
          WHERE delivery.channel = channel.id AND delivery.state = 'waiting' AND delivery.next_try_at <= moment.now
            AND NOT EXISTS (
                SELECT FROM highwater.alarm_delivery AS earlier
                 WHERE earlier.alarm = delivery.alarm AND earlier.channel = delivery.channel AND earlier.state = 'waiting'
                   AND array_position(ARRAY['raised', 'acknowledged', 'resolved'], earlier.event)
                       < array_position(ARRAY['raised', 'acknowledged', 'resolved'], delivery.event))
          ORDER BY delivery.next_try_at, delivery.id
          LIMIT 20
            FOR UPDATE SKIP LOCKED) AS next
   WHERE channel.enabled
),
taken AS (
  UPDATE highwater.alarm_delivery AS delivery
     SET attempts = delivery.attempts + 1, next_try_at = moment.now + $1 * interval '1 second'
    FROM due CROSS JOIN moment
   WHERE delivery.id = due.id
  RETURNING delivery.id, delivery.alarm, delivery.channel, delivery.event, delivery.attempts, moment.now
)
SELECT taken.id, taken.channel, taken.event, taken.attempts, taken.now,
       channel.name AS channel_name, channel.kind AS channel_kind, channel.url, channel.secret, channel.username, channel.sender,
       channel.recipients,
       alarm.id AS alarm, tenant.name AS tenant_name, host.name AS host_name, source_group.name AS group_name, alarm.job,
       alarm.kind, alarm.severity, alarm.state, alarm.message, alarm.times, alarm.raised_at, alarm.last_at,
       alarm.acknowledged_at, alarm.acknowledged_by, alarm.resolved_at
  FROM taken
  JOIN highwater.alarm_channel AS channel ON channel.id = taken.channel
  JOIN highwater.alarm AS alarm ON alarm.id = taken.alarm
  LEFT JOIN highwater.tenant AS tenant ON tenant.id = alarm.tenant
  LEFT JOIN highwater.host AS host ON host.id = alarm.host
  LEFT JOIN highwater.source_group AS source_group ON source_group.id = alarm.source_group
 ORDER BY taken.channel, taken.id
