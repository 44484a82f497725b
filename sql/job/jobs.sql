-- job/jobs
-- $1 text[] states   $2 timestamptz since, or NULL   $3 timestamptz, $4 uuid the row after which the page begins, or NULL
-- $5 bigint at most so many
-- One range of the index for each state, each read from its newest end and no further than a page: the cost does not know
-- how long the history is. Newest first.
SELECT job.id, tenant.name AS tenant_name, host.name AS host_name, source_group.name AS group_name, repository.url, job.schedule,
       job.pending_run, job.kind, job.reason, job.slot_at, job.attempt, job.retry_of, job.state, job.outcome, job.is_inferred,
       job.has_conflict, job.error_class, job.error, job.opened_at, job.queued_at, job.started_at, job.finished_at,
       job.reported_at, job.lease_until, job.bytes_total, job.bytes_added, job.files, job.progress_bytes,
       job.progress_total_bytes, job.progress_at, job.cancel_requested_at, job.rev
  FROM (SELECT ranged.id
          FROM unnest($1::text[]) AS wanted (state)
         CROSS JOIN LATERAL (
               SELECT found.id, found.opened_at
                 FROM highwater.backup_job AS found
                WHERE found.state = wanted.state
                  AND found.opened_at >= coalesce($2::timestamptz, '-infinity')
                  AND (found.opened_at, found.id)
                    < (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                ORDER BY found.opened_at DESC, found.id DESC
                LIMIT $5) AS ranged
         ORDER BY ranged.opened_at DESC, ranged.id DESC
         LIMIT $5) AS page
  JOIN highwater.backup_job AS job ON job.id = page.id
  JOIN highwater.host AS host ON host.id = job.host
  JOIN highwater.tenant AS tenant ON tenant.id = job.tenant
  LEFT JOIN highwater.source_group AS source_group ON source_group.id = job.source_group
  LEFT JOIN highwater.repository AS repository ON repository.id = job.repository
 ORDER BY job.opened_at DESC, job.id DESC
