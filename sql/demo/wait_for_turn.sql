-- demo/wait_for_turn
-- $1 bigint: key of the demonstrations' lock
-- Waits until no other demonstration has the turn, and takes it. It ends with the session.
SELECT pg_catalog.pg_advisory_lock($1)
