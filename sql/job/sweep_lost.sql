-- job/sweep_lost
-- Jobs whose lease ran out more than five minutes ago, along the index of leases. Lost ends nothing: a renewed lease takes it back.
UPDATE highwater.backup_job AS job
   SET state = 'lost', rev = job.rev + 1
  FROM (SELECT quiet.id
          FROM highwater.backup_job AS quiet
         WHERE quiet.state IN ('dispatched', 'running') AND quiet.lease_until < clock_timestamp() - interval '5 minutes'
         ORDER BY quiet.id
         LIMIT 1000
           FOR NO KEY UPDATE SKIP LOCKED) AS quiet
 WHERE job.id = quiet.id
RETURNING job.id
