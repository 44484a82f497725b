-- scheduler/job_register
-- $1 text: application
-- $2 jsonb: its jobs, an array of objects with the columns below; spans in milliseconds
-- Brings the jobs in code of an application to what its program says. Answers for each: `new`, `kept` (and made so if
-- it was otherwise), `taken` when the name is another's, and then nothing of it was written; and `left` for each job of
-- the application that the program does not have. A pause is a person's and stays.
WITH wanted AS (
  SELECT spec.name, spec.cadence_ms * interval '1 millisecond' AS cadence, spec.cron, spec.tz,
         spec.schedule_delay_ms * interval '1 millisecond' AS schedule_delay, spec.scopes, spec.scope_list, spec.catch_up,
         spec.catch_up_window_ms * interval '1 millisecond' AS catch_up_window, spec.catch_up_cap, spec.overlap,
         spec.timeout_ms * interval '1 millisecond' AS timeout, spec.backoff_ms * interval '1 millisecond' AS backoff,
         spec.max_attempts, spec.max_crashes
    FROM jsonb_to_recordset($2) AS spec (
           name text, cadence_ms int8, cron text, tz text, schedule_delay_ms int8, scopes text, scope_list text[], catch_up text,
           catch_up_window_ms int8, catch_up_cap int4, overlap text, timeout_ms int8, backoff_ms int8, max_attempts int4,
           max_crashes int4)
), known AS MATERIALIZED (
  SELECT job.name, job.kind, job.application FROM highwater.job AS job
), written AS (
  INSERT INTO highwater.job AS job (name, kind, application, registered_at, cadence, cron, tz, schedule_delay, scopes, scope_list,
                                    catch_up, catch_up_window, catch_up_cap, overlap, timeout, backoff, max_attempts, max_crashes)
  SELECT wanted.name, 'code', $1, clock_timestamp(), wanted.cadence, wanted.cron, wanted.tz, wanted.schedule_delay, wanted.scopes, wanted.scope_list,
         wanted.catch_up, wanted.catch_up_window, wanted.catch_up_cap, wanted.overlap, wanted.timeout, wanted.backoff,
         wanted.max_attempts, wanted.max_crashes
    FROM wanted
   ORDER BY wanted.name
  ON CONFLICT (name) DO UPDATE
     SET registered_at = excluded.registered_at, cadence = excluded.cadence, cron = excluded.cron, tz = excluded.tz, schedule_delay = excluded.schedule_delay,
         scopes = excluded.scopes, scope_list = excluded.scope_list, catch_up = excluded.catch_up,
         catch_up_window = excluded.catch_up_window, catch_up_cap = excluded.catch_up_cap, overlap = excluded.overlap,
         timeout = excluded.timeout, backoff = excluded.backoff, max_attempts = excluded.max_attempts,
         max_crashes = excluded.max_crashes
   WHERE job.kind = 'code' AND job.application = excluded.application
  RETURNING job.name
)
SELECT wanted.name, known.kind, known.application,
       CASE WHEN written.name IS NULL THEN 'taken' WHEN known.name IS NULL THEN 'new' ELSE 'kept' END AS answer
  FROM wanted
  LEFT JOIN written ON written.name = wanted.name
  LEFT JOIN known ON known.name = wanted.name
UNION ALL
SELECT known.name, known.kind, known.application, 'left'
  FROM known
 WHERE known.kind = 'code' AND known.application = $1 AND NOT EXISTS (SELECT FROM wanted WHERE wanted.name = known.name)
 ORDER BY 1
