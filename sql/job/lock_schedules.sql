-- job/lock_schedules
-- $1 uuid: host
-- A host's schedules that make slots, locked: nobody writes slots of theirs until the transaction ends. Unlike due_schedules
-- this waits for a worker that is at it, and reads no clock: it has to be read after the locks are held.
SELECT schedule.id, schedule.cron, schedule.tz, schedule.next_slot_at
  FROM highwater.schedule AS schedule
 WHERE schedule.host = $1 AND schedule.enabled AND schedule.removed_at IS NULL
 ORDER BY schedule.id
   FOR UPDATE
