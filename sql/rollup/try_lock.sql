-- rollup/try_lock
-- $1 text: name
-- Takes the lock that lets one backfill of a rollup run at a time; false when another session holds it. What protects
-- the data is the slice's row: this lock only keeps two backfills from doing each other's work twice.
SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext('highwater.backfill'), pg_catalog.hashtext($1)) AS taken
