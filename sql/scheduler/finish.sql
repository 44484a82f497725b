-- scheduler/finish
-- $1 int8[]: runs
-- $2 int8[]: their tokens
-- $3 text[]: how each ended: done, failed, crashed or stopped
-- $4 text[]: results as JSON; the empty text for none
-- $5 text[]: errors; the empty text for none
-- Ends runs and gives their leases back, many at once. A run whose lease is not ours any more is answered `lost`, one
-- whose lease is locked at the moment, by a heartbeat or by what is left of its own transaction, `locked`: ask again.
-- As in scheduler/heartbeat only a lease that somebody has touched is locked before it is deleted.
WITH ended AS (
  SELECT ended.run_id, ended.token, ended.ending, nullif(ended.result, '')::jsonb AS result, nullif(ended.error, '') AS error
    FROM unnest($1::int8[], $2::int8[], $3::text[], $4::text[], $5::text[]) AS ended (run_id, token, ending, result, error)
), seen AS MATERIALIZED (
  SELECT lease.run_id, lease.token, lease.xmax = 0 AS is_untouched, ended.ending, ended.result, ended.error
    FROM ended
    JOIN highwater.lease AS lease ON lease.run_id = ended.run_id AND lease.token = ended.token
   WHERE lease.lease_until > clock_timestamp()
), free AS MATERIALIZED (
  SELECT lease.run_id
    FROM highwater.lease AS lease
   WHERE lease.run_id IN (SELECT seen.run_id FROM seen WHERE NOT seen.is_untouched) AND lease.lease_until > clock_timestamp()
   ORDER BY lease.run_id
     FOR UPDATE SKIP LOCKED
), released AS (
  DELETE FROM highwater.lease AS lease USING seen
   WHERE lease.run_id = seen.run_id AND lease.token = seen.token AND lease.lease_until > clock_timestamp()
     AND (seen.is_untouched OR seen.run_id IN (SELECT free.run_id FROM free))
  RETURNING lease.run_id, seen.token, seen.ending, seen.result, seen.error
), outcome AS (
  -- attempts and crash_attempts as they are after this ending; the state follows from them
  SELECT released.run_id, released.result, released.error, released.ending, job.backoff,
         plan.attempts - CASE WHEN released.ending IN ('crashed', 'stopped') THEN 1 ELSE 0 END AS attempts,
         plan.crash_attempts + CASE WHEN released.ending = 'crashed' THEN 1 ELSE 0 END AS crash_attempts,
         CASE released.ending
           WHEN 'done' THEN 'done'
           WHEN 'failed' THEN CASE WHEN plan.attempts >= job.max_attempts THEN 'failed' ELSE 'retrying' END
           WHEN 'crashed' THEN CASE WHEN plan.crash_attempts + 1 >= job.max_crashes THEN 'poisoned' ELSE 'retrying' END
           WHEN 'stopped' THEN CASE WHEN plan.error IS NULL THEN 'due' ELSE 'retrying' END
         END AS state
    FROM released
    JOIN highwater.plan AS plan ON plan.run_id = released.run_id
    JOIN highwater.job AS job ON job.name = plan.job
), written AS (
  UPDATE highwater.plan AS plan
     SET state = outcome.state, attempts = outcome.attempts, crash_attempts = outcome.crash_attempts,
         finished_at = CASE WHEN outcome.state IN ('done', 'failed', 'poisoned') THEN clock_timestamp() END,
         duration_ms = (extract(epoch FROM clock_timestamp() - plan.started_at) * 1000)::int8,
         next_try_at = CASE WHEN outcome.state IN ('due', 'retrying') THEN clock_timestamp()
           + CASE outcome.ending
               WHEN 'failed' THEN least(outcome.backoff * power(2, least(outcome.attempts - 1, 20)), interval '1 hour')
               WHEN 'crashed' THEN CASE WHEN outcome.crash_attempts = 1 THEN interval '0'
                 ELSE least(outcome.backoff * power(2, least(outcome.crash_attempts - 2, 20)), interval '1 hour') END
               ELSE interval '0' END END,
         result = coalesce(outcome.result, plan.result), error = coalesce(outcome.error, plan.error)
    FROM outcome
   WHERE plan.run_id = outcome.run_id AND plan.state = 'running'
  RETURNING plan.run_id, plan.state, plan.attempts
)
SELECT ended.run_id,
       CASE WHEN released.run_id IS NOT NULL THEN 'finished' WHEN seen.run_id IS NOT NULL THEN 'locked' ELSE 'lost' END AS answer,
       written.state
  FROM ended
  LEFT JOIN seen ON seen.run_id = ended.run_id AND seen.token = ended.token
  LEFT JOIN released ON released.run_id = ended.run_id AND released.token = ended.token
  LEFT JOIN written ON written.run_id = ended.run_id
