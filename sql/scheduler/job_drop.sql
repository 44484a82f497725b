-- scheduler/job_drop
-- $1 text: name
-- Removes a job with its ledger. Leases of runs go too, so that their next heartbeat or finish says that they are lost.
-- No row: there is no such job, or it is built in.
WITH dropped AS (
  DELETE FROM highwater.job AS job WHERE job.name = $1 AND job.kind <> 'builtin' RETURNING job.name
), released AS (
  DELETE FROM highwater.lease AS lease USING highwater.plan AS plan, dropped
   WHERE plan.job = dropped.name AND lease.run_id = plan.run_id
  RETURNING lease.run_id
)
SELECT dropped.name, (SELECT count(*) FROM released) AS released FROM dropped
