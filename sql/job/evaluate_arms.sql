-- job/evaluate_arms
-- $1 int8: seconds by which a busy host is put off
-- $2 int8: seconds after its hello for which a host's outbox is waited for
-- Looks at all hosts whose arm is due, in one statement. A host that is gone loses its arm; one that is at work, or whose
-- reports are still coming in, keeps it; of every other one each overdue schedule and group is owed a run, and the arm
-- is done with.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
due AS MATERIALIZED (
  SELECT arm.host
    FROM highwater.catchup_arm AS arm, moment
   WHERE arm.due_at <= moment.now
   ORDER BY arm.due_at, arm.host
   LIMIT 200000
     FOR UPDATE OF arm SKIP LOCKED
), standing AS MATERIALIZED (
  SELECT host.id AS host, host.state = 'online' AS is_there,
         coalesce(host.outbox_pending > 0 AND moment.now < host.last_hello_at + $2 * interval '1 second', false)
         OR EXISTS (SELECT FROM highwater.backup_job AS job
                     WHERE job.host = host.id AND job.state IN ('queued', 'dispatched', 'running')) AS is_busy
    FROM due
    JOIN highwater.host AS host ON host.id = due.host
   CROSS JOIN moment
), kept AS (
  UPDATE highwater.catchup_arm AS arm
     SET due_at = moment.now + $1 * interval '1 second', tries = arm.tries + 1
    FROM standing, moment
   WHERE arm.host = standing.host AND standing.is_there AND standing.is_busy
  RETURNING arm.host
), done AS (
  DELETE FROM highwater.catchup_arm AS arm
   USING standing
   WHERE arm.host = standing.host AND NOT (standing.is_there AND standing.is_busy)
  RETURNING arm.host
), behind AS MATERIALIZED (
  SELECT overdue.*
    FROM standing
    JOIN highwater.overdue AS overdue ON overdue.host = standing.host
   WHERE standing.is_there AND NOT standing.is_busy
   -- all of it is found before the first run is written, which the looks into runs in hand would otherwise wade through
   ORDER BY overdue.schedule, overdue.source_group
), owed AS (
  SELECT behind.tenant, behind.host, behind.schedule, behind.source_group, behind.last_slot AS slot_at
    FROM behind
   WHERE behind.catchup = 'one'
   UNION ALL
  -- each missed slot of the window that was not given up
  SELECT behind.tenant, behind.host, behind.schedule, behind.source_group, slot.slot_at
    FROM behind
    JOIN highwater.run_slot AS slot ON slot.schedule = behind.schedule AND slot.source_group = behind.source_group
   CROSS JOIN moment
   WHERE behind.catchup = 'all' AND slot.how = 'missed' AND slot.slot_at >= moment.now - behind.catchup_window
), run AS (
  INSERT INTO highwater.pending_run AS known (tenant, host, schedule, source_group, slot_at, reason, not_before)
  SELECT owed.tenant, owed.host, owed.schedule, owed.source_group, owed.slot_at, 'catchup', moment.now
    FROM owed CROSS JOIN moment
  ON CONFLICT (schedule, source_group, slot_at) DO UPDATE
     SET state = 'waiting', reason = 'catchup', not_before = excluded.not_before, attempt = known.attempt + 1,
         dispatches = 0, lease_until = NULL, settled_at = NULL, why = 'the run that served it came to nothing'
   WHERE known.state = 'superseded'
  RETURNING known.schedule, known.source_group, known.slot_at
)
SELECT (SELECT count(*) FROM due) AS looked_at, (SELECT count(*) FROM kept) AS kept, (SELECT count(*) FROM run) AS runs
