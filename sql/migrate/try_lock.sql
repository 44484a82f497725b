-- migrate/try_lock
-- $1 int8 key of the advisory lock
-- Never the waiting form: a session that waits in pg_advisory_lock holds a snapshot, and CREATE INDEX CONCURRENTLY
-- waits for it while it waits for the index's builder.
SELECT pg_catalog.pg_try_advisory_lock($1) AS locked
