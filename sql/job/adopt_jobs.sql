-- job/adopt_jobs
-- Jobs that a host began by itself answer the slot that they name: the run that was owed for it, if there is one, is theirs.
WITH begun AS MATERIALIZED (
  SELECT DISTINCT ON (job.schedule, job.source_group, job.slot_at)
         job.id, job.tenant, job.host, job.schedule, job.source_group, job.slot_at, job.attempt, job.reason
    FROM highwater.backup_job AS job
   WHERE job.pending_run IS NULL AND job.schedule IS NOT NULL AND job.source_group IS NOT NULL AND job.slot_at IS NOT NULL
     AND job.kind = 'backup'
   ORDER BY job.schedule, job.source_group, job.slot_at, job.attempt DESC, job.id
   LIMIT 10000
), run AS (
  INSERT INTO highwater.pending_run AS known (tenant, host, schedule, source_group, slot_at, state, reason, attempt, job)
  SELECT begun.tenant, begun.host, begun.schedule, begun.source_group, begun.slot_at, 'dispatched',
         coalesce(begun.reason, 'cron'), begun.attempt, begun.id
    FROM begun
  ON CONFLICT (schedule, source_group, slot_at) DO UPDATE
     SET state = CASE WHEN known.state = 'claimed' THEN known.state ELSE 'dispatched' END,
         attempt = greatest(known.attempt, excluded.attempt), job = coalesce(known.job, excluded.job),
         settled_at = NULL, why = NULL
  RETURNING known.id, known.schedule, known.source_group, known.slot_at
), slot AS (
  INSERT INTO highwater.run_slot AS known (tenant, host, schedule, source_group, slot_at, how, job)
  SELECT begun.tenant, begun.host, begun.schedule, begun.source_group, begun.slot_at, 'ran', begun.id FROM begun
  ON CONFLICT (schedule, source_group, slot_at) DO UPDATE SET how = 'ran', job = excluded.job, why = NULL
   WHERE known.how IN ('missed', 'skipped', 'covered')
), progress AS (
  INSERT INTO highwater.schedule_progress AS known (schedule, source_group, last_slot)
  SELECT begun.schedule, begun.source_group, max(begun.slot_at) FROM begun GROUP BY begun.schedule, begun.source_group
  ON CONFLICT (schedule, source_group) DO UPDATE SET last_slot = greatest(known.last_slot, excluded.last_slot)
)
UPDATE highwater.backup_job AS job
   SET pending_run = run.id
  FROM run
 WHERE job.pending_run IS NULL AND job.schedule = run.schedule AND job.source_group = run.source_group
   AND job.slot_at = run.slot_at
   AND NOT EXISTS (SELECT FROM highwater.backup_job AS other
                    WHERE other.pending_run = run.id AND other.repository = job.repository AND other.attempt = job.attempt)
RETURNING job.id
