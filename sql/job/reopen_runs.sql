-- job/reopen_runs
-- $1 uuid: host, locked by this transaction
-- A job that was queued by hand for a run that had been answered for, or that waited to be tried again, puts the run in hand.
UPDATE highwater.pending_run AS run
   SET state = 'dispatched', settled_at = NULL, why = NULL, lease_until = NULL, job = job.id,
       attempt = greatest(run.attempt, job.attempt)
  FROM highwater.backup_job AS job
 WHERE job.host = $1 AND job.state = 'queued' AND job.pending_run = run.id
   AND (run.settled_at IS NOT NULL OR run.state = 'waiting')
RETURNING run.id
