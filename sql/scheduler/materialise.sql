-- scheduler/materialise
-- $1 text: job
-- $2 text: scope
-- $3 timestamptz: where the scope stood when it was read; NULL if it had never been planned
-- $4 timestamptz: where it stands afterwards
-- $5 timestamptz[]: plan times
-- $6 text[]: why each is skipped; the empty text for one that is to run
-- Writes plans and moves the scope on, in one transaction. Several workers may plan one scope at once: whoever finds it
-- moved already writes nothing. A plan of a latest job that still waits is covered by the newer one.
WITH moved AS (
  INSERT INTO highwater.job_scope AS known (job, scope, materialised_to)
  SELECT $1, $2, $4 WHERE EXISTS (SELECT FROM highwater.job AS job WHERE job.name = $1)
  ON CONFLICT (job, scope) DO UPDATE SET materialised_to = excluded.materialised_to
   WHERE known.materialised_to = $3
  RETURNING known.job, known.scope
), planned AS (
  SELECT moved.job, moved.scope, wanted.plan_time, wanted.why, job.catch_up, job.overlap, job.schedule_delay
    FROM moved
    JOIN highwater.job AS job ON job.name = moved.job
   CROSS JOIN unnest($5::timestamptz[], $6::text[]) AS wanted (plan_time, why)
), covered AS (
  UPDATE highwater.plan AS plan
     SET state = 'skipped', next_try_at = NULL, finished_at = clock_timestamp(),
         why = 'covered by the plan of ' || to_char(newest.plan_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
    FROM (SELECT planned.job, planned.scope, max(planned.plan_time) AS plan_time FROM planned
           WHERE planned.catch_up = 'latest' AND planned.why = '' GROUP BY planned.job, planned.scope) AS newest
   WHERE plan.job = newest.job AND plan.scope = newest.scope AND plan.state = 'due' AND plan.why IS NULL
     AND plan.plan_time < newest.plan_time
     -- one that is being claimed is not waited for: it runs
     AND plan.run_id IN (SELECT free.run_id FROM highwater.plan AS free
                          WHERE free.job = $1 AND free.scope = $2 AND free.state = 'due' FOR UPDATE SKIP LOCKED)
  RETURNING plan.run_id
), written AS (
  INSERT INTO highwater.plan (job, scope, plan_time, state, exclusive, next_try_at, finished_at, why)
  SELECT planned.job, planned.scope, planned.plan_time, CASE WHEN planned.why = '' THEN 'due' ELSE 'skipped' END,
         planned.overlap = 'forbid', CASE WHEN planned.why = '' THEN planned.plan_time + planned.schedule_delay END,
         CASE WHEN planned.why <> '' THEN clock_timestamp() END, nullif(planned.why, '')
    FROM planned
  ON CONFLICT (job, scope, plan_time) DO NOTHING
  RETURNING state
)
SELECT (SELECT count(*) FROM written WHERE written.state = 'due') AS due,
       (SELECT count(*) FROM written WHERE written.state = 'skipped') + (SELECT count(*) FROM covered) AS skipped
