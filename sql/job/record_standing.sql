-- job/record_standing
-- $1 uuid: record
-- $2 uuid: host
-- $3 uuid: job; NULL: found in the repository and adopted
-- $4 uuid: source group
-- $5 uuid: repository
-- Whether a host may put a record: what is there already is its own, and so is what the record names.
SELECT NOT EXISTS (SELECT FROM highwater.backup_record AS record WHERE record.id = $1 AND record.host <> $2)
       AND NOT EXISTS (SELECT FROM highwater.backup_job AS job WHERE job.id = $3 AND job.host <> $2)
       AND EXISTS (SELECT FROM highwater.source_group AS source_group
                     JOIN highwater.repository AS repository ON repository.tenant = source_group.tenant
                    WHERE source_group.id = $4 AND source_group.host = $2 AND repository.id = $5) AS is_of_host,
       $3::uuid IS NULL OR EXISTS (SELECT FROM highwater.backup_job AS job WHERE job.id = $3) AS job_is_known
