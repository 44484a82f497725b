-- job/due_schedules
-- Schedules whose slot has come, longest due first, locked: an edit waits, another worker takes others. The clock is
-- read here; slots are worked out by the program up to that moment.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now)
SELECT schedule.id, schedule.cron, schedule.tz, schedule.next_slot_at, moment.now
  FROM highwater.schedule AS schedule
 CROSS JOIN moment
 WHERE schedule.enabled AND schedule.removed_at IS NULL AND schedule.next_slot_at <= moment.now
 ORDER BY schedule.next_slot_at, schedule.id
 LIMIT 5000
   FOR UPDATE OF schedule SKIP LOCKED
