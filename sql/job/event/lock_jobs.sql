-- job/event/lock_jobs
-- $1 uuid[] jobs
-- In the order of their ids, so that two who lock several do not wait for each other.
SELECT job.id, job.host, job.source_group, job.repository, job.schedule, job.slot_at, job.reason, job.attempt, job.state,
       job.is_inferred, job.has_conflict, job.error_class, job.error, job.opened_at, job.queued_at, job.started_at,
       job.finished_at, job.reported_at, job.bytes_total, job.bytes_added, job.files, job.progress_bytes,
       job.progress_total_bytes, job.progress_files, job.progress_at, job.opened_by, job.started_by, job.progress_by,
       job.ended_by, job.pending_run IS NOT NULL AND job.opened_by IS NULL AS is_ours
  FROM highwater.backup_job AS job
 WHERE job.id = ANY ($1)
 ORDER BY job.id
   FOR NO KEY UPDATE OF job
