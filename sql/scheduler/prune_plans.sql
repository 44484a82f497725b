-- scheduler/prune_plans
-- Deletes a batch of plans that are older than their job keeps them. The newest plan of each scope stays, and so does
-- the catch-up window. What is to run next is said by job_scope, so that nothing here can make a plan run again.
WITH old AS (
  SELECT plan.run_id
    FROM highwater.plan AS plan
    JOIN highwater.job AS job ON job.name = plan.job
   WHERE plan.finished_at < clock_timestamp() - greatest(
           CASE WHEN plan.state IN ('done', 'skipped') THEN job.keep_done ELSE job.keep_failed END, job.catch_up_window)
     AND EXISTS (SELECT FROM highwater.plan AS newer
                  WHERE newer.job = plan.job AND newer.scope = plan.scope AND newer.plan_time > plan.plan_time)
   ORDER BY plan.run_id
   LIMIT 5000
   FOR UPDATE OF plan SKIP LOCKED
)
DELETE FROM highwater.plan AS plan USING old WHERE plan.run_id = old.run_id
RETURNING plan.run_id
