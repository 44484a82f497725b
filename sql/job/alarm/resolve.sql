-- job/alarm/resolve
-- $1 jsonb what is over
-- It is told to those who were told of the alarm.
WITH
over AS (
  UPDATE highwater.alarm AS alarm
     SET state = 'resolved', resolved_at = clock_timestamp()
    FROM jsonb_to_recordset($1) AS ended (tenant uuid, kind text, subject text)
   WHERE alarm.tenant IS NOT DISTINCT FROM ended.tenant AND alarm.kind = ended.kind AND alarm.subject = ended.subject
     AND alarm.state <> 'resolved'
  RETURNING alarm.id
)
INSERT INTO highwater.alarm_delivery (alarm, channel, event)
SELECT over.id, delivery.channel, 'resolved'
  FROM over
  JOIN highwater.alarm_delivery AS delivery ON delivery.alarm = over.id AND delivery.event = 'raised'
    ON CONFLICT DO NOTHING
