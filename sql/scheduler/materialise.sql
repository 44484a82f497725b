-- scheduler/materialise
-- $1 text[]: jobs of the scopes that move on
-- $2 text[]: those scopes
-- $3 timestamptz[]: where each stood when it was read; NULL for one that had never been planned
-- $4 timestamptz[]: where each stands afterwards
-- $5 timestamptz[]: of a cron its next plan time, else NULL
-- $6 text[]: of a cron the rule that $5 follows from, else the empty text
-- $7 text[]: jobs of the plans
-- $8 text[]: their scopes
-- $9 timestamptz[]: their plan times
-- $10 text[]: why each is skipped; the empty text for one that is to run
-- Writes the plans of all scopes of a round and moves the scopes on, in one transaction. Several workers may plan a scope
-- at once: whoever finds it moved already writes nothing for it. A plan of a latest job that still waits is covered by
-- the newer one.
WITH scope AS (
  SELECT scope.job, scope.scope, scope.known_to, scope.reached, scope.next_plan_at, nullif(scope.next_rule, '') AS next_rule
    FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::text[])
           AS scope (job, scope, known_to, reached, next_plan_at, next_rule)
    JOIN highwater.job AS job ON job.name = scope.job
), moved AS (
  INSERT INTO highwater.job_scope AS known (job, scope, materialised_to, next_plan_at, next_rule)
  SELECT scope.job, scope.scope, scope.reached, scope.next_plan_at, scope.next_rule FROM scope ORDER BY scope.job, scope.scope
  ON CONFLICT (job, scope) DO UPDATE
     SET materialised_to = excluded.materialised_to, next_plan_at = excluded.next_plan_at, next_rule = excluded.next_rule
   WHERE known.materialised_to = (SELECT scope.known_to FROM scope WHERE scope.job = known.job AND scope.scope = known.scope)
  RETURNING known.job, known.scope
), planned AS (
  SELECT moved.job, moved.scope, wanted.plan_time, wanted.why, job.catch_up, job.overlap, job.schedule_delay
    FROM moved
    JOIN highwater.job AS job ON job.name = moved.job
    JOIN unnest($7::text[], $8::text[], $9::timestamptz[], $10::text[]) AS wanted (job, scope, plan_time, why)
      ON wanted.job = moved.job AND wanted.scope = moved.scope
), newest AS (
  SELECT planned.job, planned.scope, max(planned.plan_time) AS plan_time
    FROM planned
   WHERE planned.catch_up = 'latest' AND planned.why = ''
   GROUP BY planned.job, planned.scope
), free AS MATERIALIZED (
  -- one that is being claimed is not waited for: it runs
  SELECT plan.run_id, newest.plan_time AS covered_by
    FROM newest
    JOIN highwater.plan AS plan ON plan.job = newest.job AND plan.scope = newest.scope AND plan.plan_time < newest.plan_time
   WHERE plan.state = 'due' AND plan.why IS NULL
   ORDER BY plan.run_id
     FOR UPDATE OF plan SKIP LOCKED
), covered AS (
  UPDATE highwater.plan AS plan
     SET state = 'skipped', next_try_at = NULL, finished_at = clock_timestamp(),
         why = 'covered by the plan of ' || to_char(free.covered_by AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
    FROM free
   WHERE plan.run_id = free.run_id
  RETURNING plan.run_id
), written AS (
  INSERT INTO highwater.plan (job, scope, plan_time, state, exclusive, next_try_at, finished_at, why)
  SELECT planned.job, planned.scope, planned.plan_time, CASE WHEN planned.why = '' THEN 'due' ELSE 'skipped' END,
         planned.overlap = 'forbid', CASE WHEN planned.why = '' THEN planned.plan_time + planned.schedule_delay END,
         CASE WHEN planned.why <> '' THEN clock_timestamp() END, nullif(planned.why, '')
    FROM planned
   ORDER BY planned.plan_time, planned.job, planned.scope
  ON CONFLICT (job, scope, plan_time) DO NOTHING
  RETURNING state
)
SELECT (SELECT count(*) FROM written WHERE written.state = 'due') AS due,
       (SELECT count(*) FROM written WHERE written.state = 'skipped') + (SELECT count(*) FROM covered) AS skipped
