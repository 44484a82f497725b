-- job/arm_by_hand
-- $1 uuid: host
-- Somebody wants a host looked at now.
INSERT INTO highwater.catchup_arm AS arm (host, due_at, armed_by)
VALUES ($1, clock_timestamp(), 'manual')
ON CONFLICT (host) DO UPDATE SET due_at = excluded.due_at, armed_by = 'manual', armed_at = clock_timestamp()
RETURNING arm.due_at
