-- job/record/of_host
-- $1 uuid host   $2 text state   $3 timestamptz, $4 uuid the row after which the page begins   (NULL: all)   $5 bigint at most so many
-- Along the index of the host, from its newest end.
SELECT record.id, tenant.name AS tenant_name, host.name AS host_name, source_group.name AS group_name, repository.url, record.job,
       record.state, record.pinned, record.has_conflict, record.snapshot, record.bytes_total, record.bytes_added, record.sha256,
       record.started_at, record.finished_at, record.kept_at, record.verify_requested_at, record.verified_at,
       record.verify_result, record.prune_reason, record.rev
  FROM (SELECT found.id
          FROM highwater.backup_record AS found
         WHERE found.host = $1 AND ($2::text IS NULL OR found.state = $2)
           AND (found.kept_at, found.id)
             < (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         ORDER BY found.kept_at DESC, found.id DESC
         LIMIT $5) AS page
  JOIN highwater.backup_record AS record ON record.id = page.id
  JOIN highwater.host AS host ON host.id = record.host
  JOIN highwater.tenant AS tenant ON tenant.id = record.tenant
  LEFT JOIN highwater.source_group AS source_group ON source_group.id = record.source_group
  LEFT JOIN highwater.repository AS repository ON repository.id = record.repository
 ORDER BY record.kept_at DESC, record.id DESC
