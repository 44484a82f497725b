-- scheduler/claim
-- $1 text: worker, for people
-- $2 text: incarnation of the worker, a uuid
-- $3 int8: length of the lease in milliseconds
-- $4 text[]: runners that this worker has: builtin, sql, command, and code:NAME for each of its handlers
-- Takes due plans, longest due first, each under a new lease. The clock is read here, once: a lease that began with an
-- earlier reading would be born old. The limit is a literal, which the program lowers to what it has room for.
-- Two claimers can still disagree about which plan of a scope is first; plan_one_running then fails the second one.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
claimable AS MATERIALIZED (
  SELECT plan.run_id
    FROM highwater.plan AS plan
    JOIN highwater.job AS job ON job.name = plan.job
   WHERE plan.state IN ('due', 'retrying') AND plan.next_try_at <= (SELECT moment.now FROM moment)
     AND job.paused_at IS NULL AND job.runner = ANY ($4)
     AND NOT (job.scopes = 'rollup' AND EXISTS (
           SELECT FROM highwater.rollup AS rollup WHERE rollup.name = plan.scope AND rollup.paused_at IS NOT NULL))
     AND NOT (plan.exclusive AND EXISTS (
           SELECT FROM highwater.plan AS other
            WHERE other.job = plan.job AND other.scope = plan.scope AND other.state = 'running' AND other.exclusive))
     AND NOT (plan.exclusive AND EXISTS (
           SELECT FROM highwater.plan AS older
            WHERE older.job = plan.job AND older.scope = plan.scope AND older.state IN ('due', 'retrying')
              AND older.next_try_at <= (SELECT moment.now FROM moment) AND older.plan_time < plan.plan_time))
   ORDER BY plan.next_try_at, plan.run_id
   LIMIT 100
   FOR UPDATE OF plan SKIP LOCKED
), claimed AS (
  UPDATE highwater.plan AS plan
     SET state = 'running', next_try_at = NULL, attempts = plan.attempts + 1, started_at = moment.now, worker = $1,
         token = pg_catalog.nextval('highwater.lease_token')
    FROM claimable CROSS JOIN moment
   WHERE plan.run_id = claimable.run_id
  RETURNING plan.run_id, plan.token, plan.job, plan.scope, plan.plan_time, plan.attempts, plan.crash_attempts
), leased AS (
  INSERT INTO highwater.lease (run_id, token, worker, lease_until)
  SELECT claimed.run_id, claimed.token, ($2::text)::uuid, moment.now + $3 * interval '1 millisecond'
    FROM claimed CROSS JOIN moment
  RETURNING run_id
)
SELECT claimed.run_id, claimed.token, claimed.job, claimed.scope, claimed.plan_time, claimed.attempts,
       claimed.crash_attempts, moment.now, job.kind, job.function, job.command,
       (extract(epoch FROM job.timeout) * 1000)::int8 AS timeout_ms,
       (extract(epoch FROM job.cadence) * 1000)::int8 AS cadence_ms
  FROM claimed
  JOIN leased ON leased.run_id = claimed.run_id
  JOIN highwater.job AS job ON job.name = claimed.job
 CROSS JOIN moment
 ORDER BY claimed.run_id
