-- scheduler/job_pause
-- $1 text: name
-- $2 bool: true pauses, false resumes
-- No row: there is no such job.
UPDATE highwater.job AS job
   SET paused_at = CASE WHEN $2 THEN coalesce(job.paused_at, clock_timestamp()) END
 WHERE job.name = $1
RETURNING job.name
