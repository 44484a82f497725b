-- scheduler/run_now
-- $1 text: job
-- $2 text: scope; NULL for all
-- A plan for this very moment, beside those of the cadence; of a job that forbids overlap it waits its turn.
INSERT INTO highwater.plan (job, scope, plan_time, state, exclusive, next_try_at, why)
SELECT scope.job, scope.scope, moment.now, 'due', job.overlap = 'forbid', moment.now, 'run-now by ' || session_user
  FROM highwater.job_scope_now AS scope
  JOIN highwater.job AS job ON job.name = scope.job
 CROSS JOIN (SELECT clock_timestamp() AS now) AS moment
 WHERE scope.job = $1 AND ($2::text IS NULL OR scope.scope = $2)
RETURNING run_id, scope, plan_time
