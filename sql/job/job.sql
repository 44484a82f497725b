-- job/job
-- $1 uuid job   $2 text tenant's name   $3 uuid tenant's id   (NULL: any)
SELECT job.id, tenant.name AS tenant_name, host.name AS host_name, source_group.name AS group_name, repository.url, job.schedule,
       job.pending_run, job.kind, job.reason, job.slot_at, job.attempt, job.retry_of, job.state, job.outcome, job.is_inferred,
       job.has_conflict, job.error_class, job.error, job.opened_at, job.queued_at, job.started_at, job.finished_at,
       job.reported_at, job.lease_until, job.bytes_total, job.bytes_added, job.files, job.progress_bytes,
       job.progress_total_bytes, job.progress_at, job.cancel_requested_at, job.rev
  FROM highwater.backup_job AS job
  JOIN highwater.host AS host ON host.id = job.host
  JOIN highwater.tenant AS tenant ON tenant.id = job.tenant
  LEFT JOIN highwater.source_group AS source_group ON source_group.id = job.source_group
  LEFT JOIN highwater.repository AS repository ON repository.id = job.repository
 WHERE job.id = $1 AND ($2::text IS NULL OR tenant.name = $2 OR tenant.id = $3)
