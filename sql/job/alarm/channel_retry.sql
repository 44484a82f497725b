-- job/alarm/channel_retry
-- $1 uuid channel
-- What was given up is tried anew, and what waits is due at once.
WITH anew AS (
  UPDATE highwater.alarm_delivery AS delivery
     SET state = 'waiting', attempts = 0, next_try_at = clock_timestamp()
   WHERE delivery.channel = $1 AND delivery.state IN ('failed', 'waiting')
  RETURNING delivery.id
)
SELECT count(*) AS anew FROM anew
