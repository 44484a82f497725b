-- migrate/backend
-- Which server process answers, whether it is a replica's, and the token of the start-up packet if it arrived.
SELECT pg_catalog.pg_backend_pid() AS pid, pg_catalog.pg_is_in_recovery() AS in_recovery,
       current_setting('highwater.session', true) AS token
