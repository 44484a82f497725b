-- job/seen
-- $1 uuid: host
-- The host is there; and is anything for it to do? No row: no such host, or it is retired.
UPDATE highwater.host AS host
   SET last_seen_at = clock_timestamp(), state = 'online'
 WHERE host.id = $1 AND host.state <> 'retired'
RETURNING EXISTS (SELECT FROM highwater.pending_run AS run
                   WHERE run.host = host.id AND run.settled_at IS NULL AND run.state IN ('waiting', 'claimed', 'dispatched')
                     AND run.not_before <= clock_timestamp()) AS has_work
