-- job/lock_job
-- $1 uuid job   $2 text tenant's name   $3 uuid tenant's id   (NULL: any)
SELECT job.state,
       EXISTS (SELECT FROM highwater.source_group AS source_group
                 JOIN highwater.host AS host ON host.id = source_group.host
                WHERE source_group.id = job.source_group AND source_group.removed_at IS NULL AND host.state <> 'retired') AS has_group,
       (SELECT later.id FROM highwater.backup_job AS later WHERE later.retry_of = job.id LIMIT 1) AS successor
  FROM highwater.backup_job AS job
  JOIN highwater.tenant AS tenant ON tenant.id = job.tenant
 WHERE job.id = $1 AND ($2::text IS NULL OR tenant.name = $2 OR tenant.id = $3)
   FOR NO KEY UPDATE OF job
