-- job/event/write_steps
-- $1 jsonb steps, merged; their jobs are locked
INSERT INTO highwater.job_step
       (job, name, action, state, exit_code, reason, started_at, finished_at, log_tail, started_by, ended_by)
SELECT new.job, new.name, new.action, new.state, new.exit_code, new.reason, new.started_at, new.finished_at, new.log_tail,
       new.started_by, new.ended_by
  FROM jsonb_to_recordset($1) AS new (
         job uuid, name text, action text, state text, exit_code integer, reason text, started_at timestamptz,
         finished_at timestamptz, log_tail text, started_by bigint[], ended_by bigint[])
 ORDER BY new.job, new.name
    ON CONFLICT (job, name) DO UPDATE
   SET state = excluded.state, exit_code = excluded.exit_code, reason = excluded.reason, started_at = excluded.started_at,
       finished_at = excluded.finished_at, log_tail = excluded.log_tail, started_by = excluded.started_by,
       ended_by = excluded.ended_by
