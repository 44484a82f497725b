-- rollup/try_lock
-- $1 text: name
-- $2 text: kind of work
-- Takes the lock that lets one such work on a rollup run at a time; false when another session holds it. What protects
-- the data is the slice's row: this lock only keeps two runs from doing each other's work twice.
SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext($2), pg_catalog.hashtext($1)) AS taken
