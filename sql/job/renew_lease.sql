-- job/renew_lease
-- $1 uuid: job
-- $2 uuid: host
-- $3 int8: lease token
-- $4 int8: seconds that the lease lasts from now
-- The host is at work on the job. The first renewal acknowledges the dispatch; one that comes after the lease was taken for
-- lost takes it back, unless the slot has been tried again meanwhile. No row: the token is void, or the job has ended.
WITH renewed AS (
  UPDATE highwater.backup_job AS job
     SET lease_until = clock_timestamp() + $4 * interval '1 second',
         state = CASE WHEN job.state = 'lost' THEN CASE WHEN job.started_at IS NULL THEN 'dispatched' ELSE 'running' END
                      ELSE job.state END
   WHERE job.id = $1 AND job.host = $2 AND job.lease_token = $3 AND job.state IN ('dispatched', 'running', 'lost')
     AND NOT EXISTS (SELECT FROM highwater.backup_job AS later WHERE later.retry_of = job.id)
  RETURNING job.pending_run, job.lease_until, job.cancel_requested_at IS NOT NULL AS cancel
), acknowledged AS (
  UPDATE highwater.pending_run AS run
     SET state = 'dispatched', lease_until = NULL
    FROM renewed
   WHERE run.id = renewed.pending_run AND run.state = 'claimed'
), seen AS (
  UPDATE highwater.host AS host
     SET last_seen_at = clock_timestamp(), state = 'online'
   WHERE host.id = $2 AND host.state <> 'retired' AND EXISTS (SELECT FROM renewed)
)
SELECT renewed.lease_until, renewed.cancel FROM renewed
