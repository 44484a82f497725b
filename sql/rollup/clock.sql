-- rollup/clock
-- The database's clock: the only one that decides.
SELECT clock_timestamp() AS now
