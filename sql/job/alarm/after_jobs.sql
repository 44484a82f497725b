-- job/alarm/after_jobs
-- $1 uuid[] jobs that have changed
-- For each of their groups the newest job that ended: it says whether the group is well.
WITH
touched AS (
  SELECT DISTINCT job.source_group
    FROM highwater.backup_job AS job
   WHERE job.id = ANY ($1) AND job.outcome IS NOT NULL AND job.kind = 'backup' AND job.source_group IS NOT NULL
),
newest AS (
  SELECT last.id, last.tenant, last.host, last.source_group, last.state, last.error, last.error_class
    FROM touched
   CROSS JOIN LATERAL (
         SELECT job.id, job.tenant, job.host, job.source_group, job.state, job.error, job.error_class
           FROM highwater.backup_job AS job
          WHERE job.source_group = touched.source_group AND job.outcome IN ('good', 'bad') AND job.kind = 'backup'
            AND job.slot_at IS NOT NULL
          ORDER BY job.slot_at DESC, job.attempt DESC, job.id DESC
          LIMIT 1) AS last
   UNION ALL
  -- A failure of a job whose group nobody has named yet is told all the same.
  SELECT job.id, job.tenant, job.host, NULL, job.state, job.error, job.error_class
    FROM highwater.backup_job AS job
   WHERE job.id = ANY ($1) AND job.outcome = 'bad' AND job.source_group IS NULL
)
SELECT newest.id, newest.tenant, newest.host, newest.source_group, newest.state,
       coalesce('group ' || newest.source_group, 'job ' || newest.id) AS subject,
       concat_ws(' ', 'backup', 'of ' || source_group.name, 'on ' || host.name, replace(newest.state, '_', ' '))
         || coalesce(': ' || left(coalesce(newest.error, newest.error_class), 1000), '') AS message
  FROM newest
  JOIN highwater.host AS host ON host.id = newest.host
  LEFT JOIN highwater.source_group AS source_group ON source_group.id = newest.source_group
 ORDER BY newest.id
