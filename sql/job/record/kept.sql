-- job/record/kept
-- $1 text tenant's name   $2 uuid tenant's id   $3 uuid host   $4 uuid group   (NULL: all)
-- Complete records of groups in use with the rules that decide over them, along the index of what is kept.
SELECT record.id, record.kept_at, record.pinned, tenant.name AS tenant_name, host.name AS host_name, host.tz,
       source_group.name AS group_name, coalesce(repository.url, '') AS url, record.repository, source_group.keep_last, source_group.keep_hourly,
       source_group.keep_daily, source_group.keep_weekly, source_group.keep_monthly, source_group.keep_yearly,
       source_group.keep_min
  FROM highwater.source_group AS source_group
  JOIN highwater.host AS host ON host.id = source_group.host
  JOIN highwater.tenant AS tenant ON tenant.id = host.tenant
  JOIN highwater.backup_record AS record ON record.source_group = source_group.id AND record.state = 'complete'
  LEFT JOIN highwater.repository AS repository ON repository.id = record.repository
 WHERE source_group.removed_at IS NULL
   AND ($1::text IS NULL OR tenant.name = $1 OR tenant.id = $2)
   AND ($3::uuid IS NULL OR host.id = $3)
   AND ($4::uuid IS NULL OR source_group.id = $4)
 ORDER BY record.kept_at DESC, record.id DESC
