-- bench/picked_up
-- $1 int8: run
-- How long a run asked for by hand waited for its claim; no row before it is done.
SELECT extract(epoch FROM plan.started_at - plan.plan_time)::float8 * 1000 AS milliseconds
  FROM highwater.plan AS plan
 WHERE plan.run_id = $1 AND plan.state = 'done'
