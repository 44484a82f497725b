-- demo/try_turn
-- $1 bigint: key of the demonstrations' lock
-- Takes the turn if no other demonstration has it; unlike wait_for_turn this does not wait. It ends with the session.
SELECT pg_catalog.pg_try_advisory_lock($1) AS taken
