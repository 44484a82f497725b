-- job/event/write_jobs
-- $1 uuid tenant   $2 uuid host   $3 jsonb jobs, merged
-- Known ones are locked by lock_jobs; one that another host made meanwhile under the same id is left alone.
INSERT INTO highwater.backup_job AS job
       (id, tenant, host, source_group, repository, schedule, slot_at, reason, attempt, state, is_inferred, has_conflict,
        error_class, error, opened_at, queued_at, started_at, finished_at, reported_at, bytes_total, bytes_added, files,
        progress_bytes, progress_total_bytes, progress_files, progress_at, opened_by, started_by, progress_by, ended_by)
SELECT new.id, $1, $2, new.source_group, new.repository, new.schedule, new.slot_at, new.reason, new.attempt, new.state,
       new.is_inferred, new.has_conflict, new.error_class, new.error, new.opened_at, new.queued_at, new.started_at,
       new.finished_at, new.reported_at, new.bytes_total, new.bytes_added, new.files, new.progress_bytes,
       new.progress_total_bytes, new.progress_files, new.progress_at, new.opened_by, new.started_by, new.progress_by,
       new.ended_by
  FROM jsonb_to_recordset($3) AS new (
         id uuid, source_group uuid, repository uuid, schedule uuid, slot_at timestamptz, reason text, attempt integer,
         state text, is_inferred boolean, has_conflict boolean, error_class text, error text, opened_at timestamptz,
         queued_at timestamptz, started_at timestamptz, finished_at timestamptz, reported_at timestamptz,
         bytes_total bigint, bytes_added bigint, files bigint, progress_bytes bigint, progress_total_bytes bigint,
         progress_files bigint, progress_at timestamptz, opened_by bigint[], started_by bigint[], progress_by bigint[],
         ended_by bigint[])
 ORDER BY new.id
    ON CONFLICT (id) DO UPDATE
   SET source_group = excluded.source_group, repository = excluded.repository, schedule = excluded.schedule,
       slot_at = excluded.slot_at, reason = excluded.reason, attempt = excluded.attempt, state = excluded.state,
       is_inferred = excluded.is_inferred, has_conflict = excluded.has_conflict, error_class = excluded.error_class,
       error = excluded.error, opened_at = excluded.opened_at, queued_at = excluded.queued_at,
       started_at = excluded.started_at, finished_at = excluded.finished_at, reported_at = excluded.reported_at,
       bytes_total = excluded.bytes_total, bytes_added = excluded.bytes_added, files = excluded.files,
       progress_bytes = excluded.progress_bytes, progress_total_bytes = excluded.progress_total_bytes,
       progress_files = excluded.progress_files, progress_at = excluded.progress_at, opened_by = excluded.opened_by,
       started_by = excluded.started_by, progress_by = excluded.progress_by, ended_by = excluded.ended_by
 WHERE job.host = excluded.host
