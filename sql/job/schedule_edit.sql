-- job/schedule_edit
-- $1 uuid: schedule
-- $2 text: cron
-- $3 text: zone
-- $4 boolean: enabled
-- $5 text: catch-up
-- $6 int8: catch-up window in seconds
-- $7 int8: settle in seconds
-- $8 int8: jitter in seconds
-- $9 text: overlap
-- $10 int8: start deadline in seconds; NULL: none
-- $11 timestamptz: the next slot; slots up to now stay as they were promised
-- $12 uuid[]: groups
-- $13 int8: revision that was read
-- No row: the schedule is gone, or somebody else edited it meanwhile.
WITH edited AS (
  UPDATE highwater.schedule AS schedule
     SET cron = $2, tz = $3, enabled = $4, catchup = $5, catchup_window = $6 * interval '1 second',
         settle = $7 * interval '1 second', jitter = $8 * interval '1 second', overlap = $9,
         start_deadline = $10 * interval '1 second', next_slot_at = $11, rev = schedule.rev + 1
   WHERE schedule.id = $1 AND schedule.rev = $13 AND schedule.removed_at IS NULL
  RETURNING schedule.id, schedule.rev
), unwanted AS (
  DELETE FROM highwater.schedule_group AS member
   USING edited
   WHERE member.schedule = edited.id AND member.source_group <> ALL ($12::uuid[])
), member AS (
  INSERT INTO highwater.schedule_group (schedule, source_group)
  SELECT edited.id, wanted.source_group FROM edited CROSS JOIN (SELECT DISTINCT unnest($12::uuid[])) AS wanted (source_group)
  ON CONFLICT (schedule, source_group) DO NOTHING
)
SELECT edited.rev FROM edited
