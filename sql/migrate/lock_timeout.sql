-- migrate/lock_timeout
-- $1 text milliseconds, 0 for no limit; until the end of the transaction
SELECT pg_catalog.set_config('lock_timeout', $1, true) AS lock_timeout
