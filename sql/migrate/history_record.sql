-- migrate/history_record
-- {history} the history table
-- $1 int8 version
-- $2 text name
-- $3 text refinery's checksum, an unsigned number
-- Unlike refinery's own INSERT this takes the database's clock, in the format that refinery parses.
INSERT INTO {history} (version, name, applied_on, checksum)
VALUES ($1, $2, pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), $3)
