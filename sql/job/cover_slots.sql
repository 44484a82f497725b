-- job/cover_slots
-- $1 uuid[]: groups that have a good backup
-- $2 timestamptz[]: when the backup of each was begun
-- $3 timestamptz[]: when it ended
-- $4 uuid[]: its job
-- A backup serves every slot of its group, of whatever schedule, that had come when it began, lies in the catch-up window
-- and has no run of its own coming: those slots are covered. Schedules that make up for nothing keep theirs missed, but for one that the backup
-- was chosen to serve.
WITH good AS (
  SELECT DISTINCT ON (good.source_group, good.begun_at) good.*
    FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::uuid[]) AS good (source_group, begun_at, good_at, job)
   ORDER BY good.source_group, good.begun_at, good.job
), covered AS (
  UPDATE highwater.run_slot AS slot
     SET how = 'covered', job = good.job, why = NULL
    FROM good
    JOIN highwater.schedule_progress AS progress ON progress.source_group = good.source_group
    JOIN highwater.schedule AS schedule ON schedule.id = progress.schedule
   WHERE slot.schedule = progress.schedule AND slot.source_group = good.source_group AND slot.how = 'missed'
     AND slot.slot_at <= good.begun_at
     AND slot.slot_at >= good.begun_at - schedule.catchup_window
     AND ((schedule.catchup = 'one' AND NOT EXISTS (
             SELECT FROM highwater.pending_run AS run
              WHERE run.schedule = slot.schedule AND run.source_group = slot.source_group AND run.slot_at = slot.slot_at
                AND run.state IN ('waiting', 'claimed', 'dispatched') AND run.settled_at IS NULL))
          OR EXISTS (
             SELECT FROM highwater.pending_run AS run
              WHERE run.schedule = slot.schedule AND run.source_group = slot.source_group AND run.slot_at = slot.slot_at
                AND run.state = 'superseded'))
  RETURNING slot.schedule, slot.source_group, slot.slot_at, good.good_at
), progress AS (
  UPDATE highwater.schedule_progress AS progress
     SET last_success_slot = greatest(progress.last_success_slot, covered.slot_at),
         last_success_at = greatest(progress.last_success_at, covered.good_at), consecutive_failures = 0, backoff_until = NULL
    FROM (SELECT covered.schedule, covered.source_group, max(covered.slot_at) AS slot_at, max(covered.good_at) AS good_at
            FROM covered GROUP BY covered.schedule, covered.source_group) AS covered
   WHERE progress.schedule = covered.schedule AND progress.source_group = covered.source_group
)
SELECT count(*) AS covered FROM covered
