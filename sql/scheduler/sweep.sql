-- scheduler/sweep
-- Takes leases that have run out away from workers that have gone quiet; their plans may run again at once, after
-- further crashes with a growing pause, and after too many not at all. A lease that a transaction of its run holds is
-- passed over: that one may still commit. Unlike a failure a crash costs no attempt.
WITH expired AS MATERIALIZED (
  SELECT lease.run_id, lease.worker
    FROM highwater.lease AS lease
   WHERE lease.lease_until <= clock_timestamp()
   ORDER BY lease.run_id
   LIMIT 100
   FOR UPDATE SKIP LOCKED
), released AS (
  DELETE FROM highwater.lease AS lease USING expired WHERE lease.run_id = expired.run_id
  RETURNING lease.run_id
), outcome AS (
  SELECT plan.run_id, plan.crash_attempts + 1 AS crash_attempts, job.backoff,
         CASE WHEN plan.crash_attempts + 1 >= job.max_crashes THEN 'poisoned' ELSE 'retrying' END AS state
    FROM released
    JOIN highwater.plan AS plan ON plan.run_id = released.run_id
    JOIN highwater.job AS job ON job.name = plan.job
)
UPDATE highwater.plan AS plan
   SET state = outcome.state, attempts = plan.attempts - 1, crash_attempts = outcome.crash_attempts,
       finished_at = CASE WHEN outcome.state = 'poisoned' THEN clock_timestamp() END,
       next_try_at = CASE WHEN outcome.state = 'retrying' THEN clock_timestamp()
         + CASE WHEN outcome.crash_attempts = 1 THEN interval '0'
           ELSE least(outcome.backoff * power(2, least(outcome.crash_attempts - 2, 20)), interval '1 hour') END END,
       error = 'worker ' || coalesce(plan.worker, 'unknown') || ' went quiet and its lease ran out'
  FROM outcome
 WHERE plan.run_id = outcome.run_id AND plan.state = 'running'
RETURNING plan.run_id, plan.job, plan.scope, plan.plan_time, plan.state, plan.crash_attempts, plan.worker
