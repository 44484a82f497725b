-- migrate/try_lock
-- $1 int8 key of the advisory lock
-- Never the waiting form: a session that waits in pg_advisory_lock holds a snapshot, CREATE INDEX CONCURRENTLY waits
-- for that snapshot, and since its own lock is on another connection the server sees no deadlock: both hang.
SELECT pg_catalog.pg_try_advisory_lock($1) AS locked
