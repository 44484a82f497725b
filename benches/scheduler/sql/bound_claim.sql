-- bench/bound_claim
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
due AS (
  SELECT plan.run_id FROM bench.plan AS plan
   WHERE plan.state = 0 AND plan.due_at <= (SELECT moment.now FROM moment)
   ORDER BY plan.due_at, plan.run_id
   LIMIT 100
   FOR UPDATE SKIP LOCKED
), claimed AS (
  UPDATE bench.plan AS plan SET state = 1, token = plan.token + 1 FROM due WHERE plan.run_id = due.run_id
  RETURNING plan.run_id, plan.token
)
INSERT INTO bench.lease (run_id, token, worker, lease_until)
SELECT claimed.run_id, claimed.token, '00000000-0000-0000-0000-000000000001', moment.now + interval '15 seconds'
  FROM claimed CROSS JOIN moment
RETURNING run_id, token, lease_until - interval '15 seconds' AS claimed_at
