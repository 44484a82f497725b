-- scheduler/fence
-- $1 int8: run
-- $2 int8: token
-- One row while the lease is ours; locked until the transaction ends, so that nobody can take it away meanwhile, and
-- heartbeats still renew it. No row: this run may write nothing.
SELECT lease.run_id
  FROM highwater.lease AS lease
 WHERE lease.run_id = $1 AND lease.token = $2 AND lease.lease_until > clock_timestamp()
   FOR KEY SHARE
