-- job/schedule_add
-- $1 uuid: tenant
-- $2 uuid: host
-- $3 uuid[]: groups of the host
-- $4 text: cron
-- $5 text: zone
-- $6 text: catch-up, none, one or all
-- $7 int8: catch-up window in seconds
-- $8 int8: settle in seconds
-- $9 int8: jitter in seconds
-- $10 text: overlap, skip or queue
-- $11 int8: start deadline in seconds; NULL: none
-- $12 timestamptz: the first slot
WITH schedule AS (
  INSERT INTO highwater.schedule (tenant, host, cron, tz, catchup, catchup_window, settle, jitter, overlap, start_deadline,
                                  next_slot_at)
  VALUES ($1, $2, $4, $5, $6, $7 * interval '1 second', $8 * interval '1 second', $9 * interval '1 second', $10,
          $11 * interval '1 second', $12)
  RETURNING id
), member AS (
  INSERT INTO highwater.schedule_group (schedule, source_group)
  SELECT schedule.id, wanted.source_group FROM schedule CROSS JOIN (SELECT DISTINCT unnest($3::uuid[])) AS wanted (source_group)
)
SELECT schedule.id FROM schedule
