-- scheduler/run_now
-- $1 text: job
-- $2 text: scope; NULL for all
-- A plan for this very moment, beside those of the cadence; of a job that forbids overlap it waits its turn.
WITH scope AS (
  SELECT job.name AS job, '' AS scope FROM highwater.job AS job WHERE job.scopes = 'single'
  UNION ALL
  SELECT job.name, rollup.name FROM highwater.job AS job CROSS JOIN highwater.rollup AS rollup
   WHERE job.scopes = 'rollup'
)
INSERT INTO highwater.plan (job, scope, plan_time, state, exclusive, next_try_at, why)
SELECT scope.job, scope.scope, moment.now, 'due', job.overlap = 'forbid', moment.now, 'run-now by ' || session_user
  FROM scope
  JOIN highwater.job AS job ON job.name = scope.job
 CROSS JOIN (SELECT clock_timestamp() AS now) AS moment
 WHERE scope.job = $1 AND ($2::text IS NULL OR scope.scope = $2)
RETURNING run_id, scope, plan_time
