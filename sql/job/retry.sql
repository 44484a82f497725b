-- job/retry
-- $1 uuid job, locked   $2 uuid id of the new one   $3 uuid id of an owed run, if the job answers none
-- The new attempt waits for its host as queued. A job that its host began by itself gets an owed run of its slot, so that it
-- cannot be tried twice. No row: there is an attempt of that number already.
WITH
old AS (
  SELECT job.id, job.tenant, job.host, job.source_group, job.schedule, job.kind, job.attempt, job.pending_run,
         coalesce(job.slot_at, job.opened_at) AS slot_at, coalesce(job.repository, source_group.repository) AS repository
    FROM highwater.backup_job AS job
    JOIN highwater.source_group AS source_group ON source_group.id = job.source_group
   WHERE job.id = $1
),
run AS (
  INSERT INTO highwater.pending_run AS run (id, tenant, host, schedule, source_group, slot_at, state, reason, attempt, job, why)
  SELECT $3, old.tenant, old.host, old.schedule, old.source_group, old.slot_at, 'dispatched', 'retry', old.attempt + 1, $2, 'by hand'
    FROM old
   WHERE old.pending_run IS NULL
      ON CONFLICT (schedule, source_group, slot_at) DO UPDATE
     SET state = 'dispatched', attempt = greatest(run.attempt, excluded.attempt), settled_at = NULL, lease_until = NULL,
         not_before = clock_timestamp(), job = excluded.job, why = excluded.why
  RETURNING run.id
),
-- The owed run is open again, so that its host is handed the job and its slot answered for.
reopened AS (
  UPDATE highwater.pending_run AS owed
     SET state = 'dispatched', attempt = greatest(owed.attempt, old.attempt + 1), reason = 'retry', settled_at = NULL,
         lease_until = NULL, not_before = clock_timestamp(), why = 'by hand', job = $2
    FROM old
   WHERE owed.id = old.pending_run
     AND NOT EXISTS (SELECT FROM highwater.backup_job AS other
                      WHERE other.pending_run = owed.id AND other.repository = old.repository AND other.attempt = old.attempt + 1)
)
INSERT INTO highwater.backup_job
       (id, tenant, host, source_group, repository, schedule, pending_run, kind, reason, slot_at, attempt, retry_of, state, queued_at)
SELECT $2, old.tenant, old.host, old.source_group, old.repository, old.schedule, coalesce(old.pending_run, (SELECT run.id FROM run)),
       old.kind, 'retry', old.slot_at, old.attempt + 1, old.id, 'queued', clock_timestamp()
  FROM old
    ON CONFLICT ON CONSTRAINT backup_job_is_unique DO NOTHING
RETURNING id
