-- scheduler/plans
-- $1 text: only this job; NULL for all
-- $2 text: only this state; NULL for all
-- $3 int4: at most this many
-- Plans, newest first.
SELECT plan.run_id, plan.job, plan.scope, plan.plan_time, plan.state, plan.next_try_at, plan.attempts, plan.crash_attempts,
       plan.token, plan.worker, plan.created_at, plan.started_at, plan.finished_at, plan.duration_ms, plan.result,
       plan.error, plan.why, lease.lease_until,
       (extract(epoch FROM plan.next_try_at - clock_timestamp()) * 1000)::int8 AS next_try_in_ms
  FROM highwater.plan AS plan
  LEFT JOIN highwater.lease AS lease ON lease.run_id = plan.run_id AND lease.token = plan.token
 WHERE ($1::text IS NULL OR plan.job = $1) AND ($2::text IS NULL OR plan.state = $2)
 ORDER BY plan.plan_time DESC, plan.run_id DESC
 LIMIT $3
