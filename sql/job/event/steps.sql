-- job/event/steps
-- $1 uuid[] jobs   $2 text[] names, each of the job at its place
SELECT step.job, step.name, step.action, step.state, step.exit_code, step.reason, step.started_at, step.finished_at,
       step.log_tail, step.started_by, step.ended_by
  FROM (SELECT DISTINCT named.job, named.name FROM unnest($1::uuid[], $2::text[]) AS named (job, name)) AS wanted
  JOIN highwater.job_step AS step ON step.job = wanted.job AND step.name = wanted.name
