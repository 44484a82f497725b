-- bench/bound_finish
-- $1 int8[]: runs
-- $2 int8[]: their tokens
WITH released AS (
  DELETE FROM bench.lease AS lease USING unnest($1::int8[], $2::int8[]) AS ended (run_id, token)
   WHERE lease.run_id = ended.run_id AND lease.token = ended.token AND lease.lease_until > clock_timestamp()
  RETURNING lease.run_id
)
UPDATE bench.plan AS plan SET state = 2 FROM released WHERE plan.run_id = released.run_id
RETURNING plan.run_id
