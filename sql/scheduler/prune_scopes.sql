-- scheduler/prune_scopes
-- Forgets the scopes of rollups that are gone, with plans of theirs that wait for a rollup that will not come back.
WITH gone AS (
  DELETE FROM highwater.job_scope AS known
   USING highwater.job AS job
   WHERE job.name = known.job AND job.scopes = 'rollup'
     AND NOT EXISTS (SELECT FROM highwater.rollup AS rollup WHERE rollup.name = known.scope)
  RETURNING known.job, known.scope
)
UPDATE highwater.plan AS plan
   SET state = 'skipped', next_try_at = NULL, finished_at = clock_timestamp(), why = 'the rollup was dropped'
  FROM gone
 WHERE plan.job = gone.job AND plan.scope = gone.scope AND plan.state IN ('due', 'retrying')
RETURNING plan.run_id
