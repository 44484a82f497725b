-- job/steps
-- $1 uuid job
SELECT step.name, step.state, step.exit_code, step.reason, step.started_at, step.finished_at, step.log_tail
  FROM highwater.job_step AS step
 WHERE step.job = $1
 ORDER BY step.ordinal, coalesce(step.started_at, step.finished_at), step.name
