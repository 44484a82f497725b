-- highwater: require-rollup activity_hourly
-- highwater: lock-timeout 2s, retries 20
-- Runs only after every month of history is in the hourly rollup, and proven equal to its source.
DROP FUNCTION refresh_activity_daily();
DROP TABLE activity_daily;
