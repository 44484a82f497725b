-- job/event/lock_host
-- $1 uuid host
-- Locks the host until the transaction ends, so that its batches take turns. No row: it is not there, or retired.
UPDATE highwater.host
   SET last_seen_at = clock_timestamp()
 WHERE id = $1 AND state <> 'retired'
RETURNING tenant, clock_timestamp() AS received_at, outbox_pending
