-- scheduler/finish_own
-- $1 int8: run
-- $2 int8: token
-- $3 text: result as JSON; the empty text for none
-- The last statement of a job's own transaction, whose first was the fence: effects and ending are committed as one.
-- No row: the lease is not ours, roll back. Unlike scheduler/finish the lease may have run out meanwhile, since the
-- fence's lock has kept everyone from taking it.
WITH released AS (
  DELETE FROM highwater.lease AS lease WHERE lease.run_id = $1 AND lease.token = $2 RETURNING lease.run_id
)
UPDATE highwater.plan AS plan
   SET state = 'done', finished_at = clock_timestamp(), result = nullif($3, '')::jsonb,
       duration_ms = (extract(epoch FROM clock_timestamp() - plan.started_at) * 1000)::int8
  FROM released
 WHERE plan.run_id = released.run_id AND plan.state = 'running'
RETURNING plan.run_id
