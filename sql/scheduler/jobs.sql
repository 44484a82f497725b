-- scheduler/jobs
-- $1 text: only this job; NULL for all
-- Jobs, each with what waits and what became of its last run, like the timers of a service manager.
WITH tally AS (
  SELECT plan.job,
         count(*) FILTER (WHERE plan.state = 'running') AS running,
         count(*) FILTER (WHERE plan.state IN ('due', 'retrying')) AS waiting,
         count(*) FILTER (WHERE plan.state IN ('failed', 'poisoned')) AS failed,
         min(plan.next_try_at) AS next_try_at,
         max(plan.finished_at) FILTER (WHERE plan.state = 'done') AS last_done_at
    FROM highwater.plan AS plan
   WHERE $1::text IS NULL OR plan.job = $1
   GROUP BY plan.job
)
SELECT job.name, job.kind, job.function, job.command, job.scopes, job.scope_list, job.application, job.registered_at,
       job.catch_up, job.catch_up_cap, job.overlap, job.max_attempts, job.max_crashes, job.paused_at, job.created_at,
       job.cron, job.tz, clock_timestamp() AS now,
       (extract(epoch FROM job.cadence) * 1000)::int8 AS cadence_ms,
       (extract(epoch FROM job.schedule_delay) * 1000)::int8 AS schedule_delay_ms,
       (extract(epoch FROM job.catch_up_window) * 1000)::int8 AS catch_up_window_ms,
       (extract(epoch FROM job.timeout) * 1000)::int8 AS timeout_ms,
       (extract(epoch FROM job.backoff) * 1000)::int8 AS backoff_ms,
       coalesce(tally.running, 0) AS running, coalesce(tally.waiting, 0) AS waiting, coalesce(tally.failed, 0) AS failed,
       tally.next_try_at, tally.last_done_at,
       last.started_at AS last_started_at, last.duration_ms AS last_took_ms, last.state AS last_state,
       CASE WHEN last.state IN ('retrying', 'failed', 'poisoned') THEN last.error END AS last_error
  FROM highwater.job AS job
  LEFT JOIN tally ON tally.job = job.name
  LEFT JOIN LATERAL (
    SELECT plan.started_at, plan.duration_ms, plan.state, plan.error
      FROM highwater.plan AS plan
     WHERE plan.job = job.name AND plan.started_at IS NOT NULL
     ORDER BY plan.started_at DESC
     LIMIT 1) AS last ON true
 WHERE $1::text IS NULL OR job.name = $1
 ORDER BY job.name
