-- scheduler/job_kind
-- $1 text: name
-- No row: there is no such job.
SELECT job.kind, job.scopes FROM highwater.job AS job WHERE job.name = $1
