-- job/alarm/acknowledge
-- $1 uuid alarm   $2 text tenant's name   $3 uuid tenant's id   (NULL: any)   $4 text who
-- Told to those who were told of the alarm. Returns the state that it has now; one that is acknowledged or resolved already keeps what it says. No row: there is none.
WITH
found AS (
  SELECT alarm.id, alarm.state
    FROM highwater.alarm AS alarm
    LEFT JOIN highwater.tenant AS tenant ON tenant.id = alarm.tenant
   WHERE alarm.id = $1 AND ($2::text IS NULL OR tenant.name = $2 OR tenant.id = $3)
),
changed AS (
  UPDATE highwater.alarm AS alarm
     SET state = 'acknowledged', acknowledged_at = clock_timestamp(), acknowledged_by = $4
    FROM found
   WHERE alarm.id = found.id AND alarm.state = 'raised'
  RETURNING alarm.id, alarm.state
),
told AS (
  INSERT INTO highwater.alarm_delivery (alarm, channel, event)
  SELECT changed.id, delivery.channel, 'acknowledged'
    FROM changed
    JOIN highwater.alarm_delivery AS delivery ON delivery.alarm = changed.id AND delivery.event = 'raised'
      ON CONFLICT DO NOTHING
)
SELECT coalesce(changed.state, found.state) AS state
  FROM found
  LEFT JOIN changed ON changed.id = found.id
