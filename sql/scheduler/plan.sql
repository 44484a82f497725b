-- scheduler/plan
-- $1 int8: run
-- No row: there is no such plan, or it was pruned.
SELECT plan.run_id, plan.job, plan.scope, plan.plan_time, plan.state, plan.next_try_at, plan.attempts, plan.crash_attempts,
       plan.token, plan.worker, plan.created_at, plan.started_at, plan.finished_at, plan.duration_ms, plan.result,
       plan.error, plan.why, lease.lease_until,
       (extract(epoch FROM plan.next_try_at - clock_timestamp()) * 1000)::int8 AS next_try_in_ms
  FROM highwater.plan AS plan
  LEFT JOIN highwater.lease AS lease ON lease.run_id = plan.run_id AND lease.token = plan.token
 WHERE plan.run_id = $1
