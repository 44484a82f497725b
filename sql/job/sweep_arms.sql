-- job/sweep_arms
-- Arms every host that is there and has something overdue, whatever its mode and whether it has said hello or not: so a
-- server that was down, or a link that outlived a sleep, costs no backup.
INSERT INTO highwater.catchup_arm (host, due_at, boot_id, armed_by)
SELECT host.id, clock_timestamp(), host.boot_id, 'sweep'
  FROM highwater.host AS host
 WHERE host.state = 'online' AND host.id IN (SELECT overdue.host FROM highwater.overdue AS overdue)
ON CONFLICT (host) DO NOTHING
RETURNING host
