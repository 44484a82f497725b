-- scheduler/behind
-- Scopes whose next plan time is due and not on the ledger, with all that the planner wants to know. A scope that was
-- never planned stands at the plan time before the present one if its job is built in, so that a fresh installation
-- works at once, and else at the job's making, so that adding a job does not fire it.
-- The present plan time of a cadence is found here only to pass over scopes that are up to date; the planner finds it
-- again. Of a cron the next one was written down when the scope was last planned; if its rule has changed since, or
-- nobody has planned it yet, the planner has to look.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
stand AS (
  SELECT job.name AS job, scope.scope, moment.now, job.catch_up, job.catch_up_cap,
         job.paused_at IS NOT NULL OR (job.scopes = 'rollup' AND EXISTS (
           SELECT FROM highwater.rollup AS rollup WHERE rollup.name = scope.scope AND rollup.paused_at IS NOT NULL)) AS is_paused,
         job.cadence, job.cron, job.tz, job.schedule_delay, job.catch_up_window, known.materialised_to AS known_to,
         known.next_plan_at, known.next_rule IS NOT DISTINCT FROM job.tz || ' ' || job.cron AS knows_next,
         date_bin(job.cadence, moment.now - job.schedule_delay, '2001-01-01 00:00:00+00') AS present,
         coalesce(known.materialised_to, CASE WHEN job.kind = 'builtin'
           THEN date_bin(job.cadence, moment.now - job.schedule_delay, '2001-01-01 00:00:00+00') - job.cadence
           ELSE job.created_at END) AS materialised_to
    FROM highwater.job_scope_now AS scope
    JOIN highwater.job AS job ON job.name = scope.job
    LEFT JOIN highwater.job_scope AS known ON known.job = scope.job AND known.scope = scope.scope
   CROSS JOIN moment
)
SELECT stand.job, stand.scope, stand.now, stand.is_paused, stand.catch_up, stand.cron, stand.tz, stand.known_to,
       stand.materialised_to,
       (extract(epoch FROM stand.cadence) * 1000)::int8 AS cadence_ms,
       (extract(epoch FROM stand.schedule_delay) * 1000)::int8 AS schedule_delay_ms,
       (extract(epoch FROM stand.catch_up_window) * 1000)::int8 AS catch_up_window_ms,
       greatest(stand.catch_up_cap - CASE WHEN stand.catch_up = 'every' THEN
         (SELECT count(*) FROM highwater.plan AS plan
           WHERE plan.job = stand.job AND plan.scope = stand.scope AND plan.state IN ('due', 'retrying')) ELSE 0 END, 0) AS room
  FROM stand
 WHERE CASE WHEN stand.cron IS NULL THEN stand.materialised_to < stand.present
            ELSE NOT stand.knows_next OR stand.next_plan_at <= stand.now - stand.schedule_delay END
 ORDER BY stand.job, stand.scope
