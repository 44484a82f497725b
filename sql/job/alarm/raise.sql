-- job/alarm/raise
-- $1 jsonb alarms
-- One that is open already is counted again when another job is behind it; a new one is told to the channels of its tenant
-- and to those of whoever runs highwater, as far as they want to hear of it.
WITH
wanted AS (
  SELECT DISTINCT ON (new.tenant, new.kind, new.subject)
         new.tenant, new.host, new.source_group, new.job, new.kind, new.subject, new.message
    FROM jsonb_to_recordset($1) AS new (
           tenant uuid, host uuid, source_group uuid, job uuid, kind text, subject text, message text)
   ORDER BY new.tenant, new.kind, new.subject
),
raised AS (
  INSERT INTO highwater.alarm AS alarm (tenant, host, source_group, job, kind, subject, message)
  SELECT wanted.tenant, wanted.host, wanted.source_group, wanted.job, wanted.kind, wanted.subject, wanted.message FROM wanted
      ON CONFLICT (tenant, kind, subject) WHERE state <> 'resolved' DO UPDATE
     SET times = alarm.times + 1, last_at = clock_timestamp(), job = excluded.job, message = excluded.message
   WHERE alarm.job IS DISTINCT FROM excluded.job OR (excluded.job IS NULL AND alarm.message <> excluded.message)
  RETURNING alarm.id, alarm.tenant, alarm.times, alarm.kind, alarm.severity
)
INSERT INTO highwater.alarm_delivery (alarm, channel, event)
SELECT raised.id, channel.id, 'raised'
  FROM raised
  JOIN highwater.alarm_channel AS channel ON channel.tenant IS NULL OR channel.tenant = raised.tenant
 WHERE raised.times = 1 AND channel.enabled
   AND (channel.kinds IS NULL OR raised.kind = ANY (channel.kinds))
   AND (channel.min_severity = 'warning' OR raised.severity = 'critical')
    ON CONFLICT DO NOTHING
