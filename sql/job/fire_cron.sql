-- job/fire_cron
-- $1 uuid: host
-- $2 uuid: schedule
SELECT schedule.cron, schedule.tz, clock_timestamp() AS now
  FROM highwater.schedule AS schedule
 WHERE schedule.id = $2 AND schedule.host = $1 AND schedule.removed_at IS NULL
