-- job/groups
-- $1 text tenant's name   $2 uuid tenant's id   $3 uuid host   $4 uuid one group   $5 integer at most so many   (NULL: all)
SELECT source_group.id, tenant.name AS tenant_name, host.name AS host_name, source_group.name, source_group.source,
       source_group.command, source_group.includes, source_group.excludes, source_group.pre_hook, source_group.post_hook,
       (extract(epoch FROM source_group.hook_timeout))::bigint AS hook_timeout_seconds,
       (extract(epoch FROM source_group.job_timeout))::bigint AS job_timeout_seconds,
       ARRAY(SELECT repository.url
               FROM highwater.group_repository AS goes
               JOIN highwater.repository AS repository ON repository.id = goes.repository
              WHERE goes.source_group = source_group.id
              ORDER BY repository.id <> source_group.repository, repository.url) AS repositories,
       (extract(epoch FROM source_group.rpo))::bigint AS rpo_seconds, source_group.keep_last, source_group.keep_hourly,
       source_group.keep_daily, source_group.keep_weekly, source_group.keep_monthly, source_group.keep_yearly,
       source_group.keep_min, source_group.retry_max,
       (extract(epoch FROM source_group.retry_base))::bigint AS retry_base_seconds,
       (extract(epoch FROM source_group.retry_cap))::bigint AS retry_cap_seconds, source_group.rev
  FROM highwater.source_group AS source_group
  JOIN highwater.host AS host ON host.id = source_group.host
  JOIN highwater.tenant AS tenant ON tenant.id = host.tenant
 WHERE source_group.removed_at IS NULL
   AND ($1::text IS NULL OR tenant.name = $1 OR tenant.id = $2)
   AND ($3::uuid IS NULL OR source_group.host = $3)
   AND ($4::uuid IS NULL OR source_group.id = $4)
 ORDER BY tenant.name, host.name, source_group.name
 LIMIT $5
