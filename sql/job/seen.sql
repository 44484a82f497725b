-- job/seen
-- $1 uuid: host
-- The host is there; and is anything for it to do? No row: no such host, or it is retired.
UPDATE highwater.host AS host
   SET last_seen_at = clock_timestamp(), state = 'online'
 WHERE host.id = $1 AND host.state <> 'retired'
RETURNING EXISTS (SELECT FROM highwater.pending_run AS run
                   WHERE run.host = host.id AND run.state IN ('waiting', 'claimed') AND run.not_before <= clock_timestamp())
          OR EXISTS (SELECT FROM highwater.backup_job AS job WHERE job.host = host.id AND job.state = 'queued') AS has_work
