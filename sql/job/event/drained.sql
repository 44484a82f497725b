-- job/event/drained
-- $1 uuid host, locked   $2 int8 reports that have left its outbox
-- What waits on the host is known from its hellos; between two of them each report that comes makes it less, so that a catch-up does
-- not wait for the next hello.
UPDATE highwater.host AS host
   SET outbox_pending = greatest(host.outbox_pending - $2, 0)
 WHERE host.id = $1
RETURNING host.outbox_pending
