-- job/held_jobs
-- $1 uuid: host
-- Jobs that the host is believed to hold.
SELECT job.id, job.lease_token, job.lease_until, job.cancel_requested_at IS NOT NULL AS cancel
  FROM highwater.backup_job AS job
 WHERE job.host = $1 AND job.state IN ('dispatched', 'running', 'lost') AND job.lease_token IS NOT NULL
 ORDER BY job.id
