-- job/schedule_remove
-- $1 uuid: schedule
-- $2 uuid: tenant
-- Its slots and runs stay as history; what still waits is given up by the next pass. No row: it is gone already.
UPDATE highwater.schedule AS schedule
   SET removed_at = clock_timestamp(), next_slot_at = NULL, rev = schedule.rev + 1
 WHERE schedule.id = $1 AND schedule.tenant = $2 AND schedule.removed_at IS NULL
RETURNING schedule.id
