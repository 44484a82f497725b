-- job/lease_standing
-- $1 uuid: job
-- $2 uuid: host
-- Why a lease could not be renewed. No row: the host has no such job.
SELECT job.outcome IS NOT NULL AS has_ended FROM highwater.backup_job AS job WHERE job.id = $1 AND job.host = $2
