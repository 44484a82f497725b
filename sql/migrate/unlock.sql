-- migrate/unlock
-- $1 int8 key of the advisory lock
SELECT pg_catalog.pg_advisory_unlock($1) AS unlocked
