-- job/record/one
-- $1 uuid record   $2 text tenant's name   $3 uuid tenant's id   (NULL: any)
SELECT record.id, tenant.name AS tenant_name, host.name AS host_name, source_group.name AS group_name, repository.url, record.job,
       record.state, record.pinned, record.has_conflict, record.snapshot, record.bytes_total, record.bytes_added, record.sha256,
       record.started_at, record.finished_at, record.kept_at, record.verify_requested_at, record.verified_at,
       record.verify_result, record.prune_reason, record.rev
  FROM highwater.backup_record AS record
  JOIN highwater.host AS host ON host.id = record.host
  JOIN highwater.tenant AS tenant ON tenant.id = record.tenant
  LEFT JOIN highwater.source_group AS source_group ON source_group.id = record.source_group
  LEFT JOIN highwater.repository AS repository ON repository.id = record.repository
 WHERE record.id = $1 AND ($2::text IS NULL OR tenant.name = $2 OR tenant.id = $3)
