-- job/requeue_unanswered
-- Runs that were handed out and never answered for wait with growing pauses, and are given up after as many tries as the
-- group allows. One whose job has begun was answered for.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
silent AS MATERIALIZED (
  SELECT run.id, run.dispatches + 1 AS dispatches, source_group.retry_max, source_group.retry_base, source_group.retry_cap
    FROM highwater.pending_run AS run
    JOIN highwater.source_group AS source_group ON source_group.id = run.source_group
   CROSS JOIN moment
   WHERE run.settled_at IS NULL AND run.state = 'claimed' AND run.lease_until < moment.now
     AND NOT EXISTS (SELECT FROM highwater.backup_job AS job
                      WHERE job.pending_run = run.id AND job.attempt = run.attempt
                        AND (job.started_at IS NOT NULL OR job.outcome IS NOT NULL OR job.state = 'running'))
   ORDER BY run.id
   LIMIT 10000
     FOR UPDATE OF run SKIP LOCKED
), moved AS (
  UPDATE highwater.pending_run AS run
     SET dispatches = silent.dispatches, lease_until = NULL,
         not_before = moment.now + highwater.pause_before(silent.dispatches, silent.retry_base, silent.retry_cap),
         state = CASE WHEN silent.dispatches > silent.retry_max THEN 'abandoned' ELSE run.state END,
         settled_at = CASE WHEN silent.dispatches > silent.retry_max THEN moment.now END,
         why = 'dispatched ' || silent.dispatches || ' times without an answer'
    FROM silent CROSS JOIN moment
   WHERE run.id = silent.id
  RETURNING run.schedule, run.source_group, run.slot_at, run.state, run.why, run.not_before
), told AS (
  UPDATE highwater.run_slot AS slot
     SET how = 'missed', job = NULL, why = moved.why
    FROM moved
   WHERE slot.schedule = moved.schedule AND slot.source_group = moved.source_group AND slot.slot_at = moved.slot_at
), progress AS (
  UPDATE highwater.schedule_progress AS progress
     SET consecutive_failures = progress.consecutive_failures + 1, backoff_until = moved.not_before
    FROM moved
   WHERE progress.schedule = moved.schedule AND progress.source_group = moved.source_group
)
SELECT count(*) AS requeued, count(*) FILTER (WHERE moved.state = 'abandoned') AS abandoned FROM moved
