-- migrate/clock
-- The database's clock, the only one that is written down.
SELECT pg_catalog.clock_timestamp() AS now
