-- job/cancel
-- $1 uuid job   $2 text tenant's name   $3 uuid tenant's id   (NULL: any)
-- ended: no host had it; requested: its host will hear of it; over: it had ended. No row: there is none. The stamp is that of an
-- inferred end, so that a host that had it all the same overrules it.
WITH
found AS (
  SELECT job.id, job.state
    FROM highwater.backup_job AS job
    JOIN highwater.tenant AS tenant ON tenant.id = job.tenant
   WHERE job.id = $1 AND ($2::text IS NULL OR tenant.name = $2 OR tenant.id = $3)
     FOR NO KEY UPDATE OF job
),
changed AS (
  UPDATE highwater.backup_job AS job
     SET cancel_requested_at = coalesce(job.cancel_requested_at, clock_timestamp()), rev = job.rev + 1,
         state = CASE WHEN found.state = 'queued' THEN 'cancelled' ELSE job.state END,
         is_inferred = found.state = 'queued',
         finished_at = CASE WHEN found.state = 'queued' THEN clock_timestamp() END,
         ended_by = CASE WHEN found.state = 'queued' THEN ARRAY[7, 0, 0, 0] END
    FROM found
   WHERE job.id = found.id AND found.state IN ('queued', 'dispatched', 'running', 'lost')
  RETURNING job.id, job.state
)
SELECT CASE WHEN changed.id IS NULL THEN 'over' WHEN changed.state = 'cancelled' THEN 'ended' ELSE 'requested' END AS became
  FROM found
  LEFT JOIN changed ON changed.id = found.id
