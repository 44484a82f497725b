-- job/clock
SELECT clock_timestamp() AS now
