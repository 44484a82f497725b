-- scheduler/jobs
-- $1 text: only this job; NULL for all
-- Jobs, each with its scopes' next plan time and what became of the last plan.
SELECT job.name, job.kind, job.function, job.command, job.scopes, job.scope_list, job.application,
       job.registered_at, job.catch_up, job.catch_up_cap, job.overlap,
       job.max_attempts, job.max_crashes, job.paused_at, job.created_at,
       (extract(epoch FROM job.cadence) * 1000)::int8 AS cadence_ms,
       (extract(epoch FROM job.schedule_delay) * 1000)::int8 AS schedule_delay_ms,
       (extract(epoch FROM job.catch_up_window) * 1000)::int8 AS catch_up_window_ms,
       (extract(epoch FROM job.timeout) * 1000)::int8 AS timeout_ms,
       (extract(epoch FROM job.backoff) * 1000)::int8 AS backoff_ms,
       CASE WHEN job.paused_at IS NULL THEN
         date_bin(job.cadence, clock_timestamp() - job.schedule_delay, '2001-01-01 00:00:00+00') + job.cadence END AS next_plan_at,
       count(plan.run_id) FILTER (WHERE plan.state = 'running') AS running,
       count(plan.run_id) FILTER (WHERE plan.state IN ('due', 'retrying')) AS waiting,
       count(plan.run_id) FILTER (WHERE plan.state IN ('failed', 'poisoned')) AS failed,
       max(plan.finished_at) FILTER (WHERE plan.state = 'done') AS last_done_at
  FROM highwater.job AS job
  LEFT JOIN highwater.plan AS plan ON plan.job = job.name
 WHERE $1::text IS NULL OR job.name = $1
 GROUP BY job.name
 ORDER BY job.name
