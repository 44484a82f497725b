-- scheduler/heartbeat
-- $1 text: incarnation of the worker, a uuid
-- $2 int8[]: runs
-- $3 int8[]: their tokens
-- $4 int8: length of the lease in milliseconds
-- Renews all leases of a process at once and says of each run whether it is still ours; a run that is not in the answer
-- is lost. A row that someone has locked is not waited for: it is ours and finishing, or, expired, being taken away.
-- Locking a row before its update costs more than half of an update's log again, so that only rows whose xmax says that
-- somebody locked or deleted them are (measured: 148 bytes a lease, now 92). Who does so just now is waited for, which
-- the worker's patience bounds; the next heartbeat sees it.
WITH own AS MATERIALIZED (
  SELECT lease.run_id, lease.token, lease.lease_until > clock_timestamp() AS is_live, lease.xmax = 0 AS is_untouched
    FROM unnest($2::int8[], $3::int8[]) AS held (run_id, token)
    JOIN highwater.lease AS lease ON lease.run_id = held.run_id AND lease.token = held.token
   WHERE lease.worker = ($1::text)::uuid
), free AS MATERIALIZED (
  SELECT lease.run_id
    FROM highwater.lease AS lease
   WHERE lease.run_id IN (SELECT own.run_id FROM own WHERE own.is_live AND NOT own.is_untouched)
     AND lease.lease_until > clock_timestamp()
   ORDER BY lease.run_id
     FOR NO KEY UPDATE SKIP LOCKED
), renewed AS (
  UPDATE highwater.lease AS lease SET lease_until = clock_timestamp() + $4 * interval '1 millisecond'
    FROM own
   WHERE lease.run_id = own.run_id AND lease.token = own.token AND own.is_live AND lease.lease_until > clock_timestamp()
     AND (own.is_untouched OR own.run_id IN (SELECT free.run_id FROM free))
  RETURNING lease.run_id
)
SELECT own.run_id, own.token, renewed.run_id IS NULL AS is_finishing
  FROM own
  LEFT JOIN renewed ON renewed.run_id = own.run_id
 WHERE own.is_live
