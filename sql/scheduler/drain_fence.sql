-- scheduler/drain_fence
-- $1 int8: run
-- $2 int8: token
-- $3 text: rollup
-- As scheduler/fence, for a drain: a paused rollup is not drained either.
SELECT lease.run_id
  FROM highwater.lease AS lease
 WHERE lease.run_id = $1 AND lease.token = $2 AND lease.lease_until > clock_timestamp()
   AND NOT EXISTS (SELECT FROM highwater.rollup AS rollup WHERE rollup.name = $3 AND rollup.paused_at IS NOT NULL)
   FOR KEY SHARE OF lease
