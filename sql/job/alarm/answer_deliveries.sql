-- job/alarm/answer_deliveries
-- $1 jsonb: id, attempts as claimed, outcome (delivered, refused, or released: not tried), error, wait_seconds that the peer asks for
-- $2 int8 attempts after which it is given up
-- Pauses double from 10 seconds to an hour, each cut by up to a half, so that what failed together does not come back together.
-- One that was claimed anew meanwhile is left to whoever did so.
WITH
answer AS MATERIALIZED (
  SELECT told.id, told.attempts, told.outcome, told.error, told.wait_seconds,
         (told.outcome = 'refused' AND told.attempts >= $2) AS is_given_up
    FROM jsonb_to_recordset($1) AS told (id uuid, attempts integer, outcome text, error text, wait_seconds double precision)
),
changed AS (
  UPDATE highwater.alarm_delivery AS delivery
     SET state = CASE WHEN answer.outcome = 'delivered' THEN 'delivered' WHEN answer.is_given_up THEN 'failed' ELSE 'waiting' END,
         delivered_at = CASE WHEN answer.outcome = 'delivered' THEN clock_timestamp() END,
         attempts = delivery.attempts - CASE WHEN answer.outcome = 'released' THEN 1 ELSE 0 END,
         next_try_at = clock_timestamp() + CASE answer.outcome
           WHEN 'refused' THEN greatest(
             highwater.pause_before(delivery.attempts, interval '10 seconds', interval '1 hour') * (0.5 + 0.5 * random()),
             coalesce(answer.wait_seconds, 0) * interval '1 second')
           ELSE interval '5 seconds' END,
         error = answer.error
    FROM answer
   WHERE delivery.id = answer.id AND delivery.attempts = answer.attempts AND delivery.state = 'waiting'
  RETURNING delivery.id, answer.outcome, answer.is_given_up
)
SELECT count(*) FILTER (WHERE changed.outcome = 'delivered') AS delivered,
       count(*) FILTER (WHERE changed.outcome = 'refused') AS refused,
       count(*) FILTER (WHERE changed.is_given_up) AS given_up
  FROM changed
