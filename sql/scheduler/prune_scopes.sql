-- scheduler/prune_scopes
-- Forgets scopes that are gone, those of rollups that were dropped above all, with plans of theirs that wait for what
-- will not come back.
WITH gone AS (
  DELETE FROM highwater.job_scope AS known
   WHERE NOT EXISTS (SELECT FROM highwater.job_scope_now AS scope WHERE scope.job = known.job AND scope.scope = known.scope)
  RETURNING known.job, known.scope
)
UPDATE highwater.plan AS plan
   SET state = 'skipped', next_try_at = NULL, finished_at = clock_timestamp(),
       why = CASE job.scopes WHEN 'rollup' THEN 'the rollup was dropped' ELSE 'the job has no such scope any more' END
  FROM gone
  JOIN highwater.job AS job ON job.name = gone.job
 WHERE plan.job = gone.job AND plan.scope = gone.scope AND plan.state IN ('due', 'retrying')
RETURNING plan.run_id
