-- migrate/ledger_finish
-- $1 text history   $2 int8 version   $3 timestamptz start of the attempt
-- In the transaction of the history row. Milliseconds are counted by the database's clock, never below zero.
UPDATE highwater.migration_run AS run
   SET started_at = $3, finished_at = greatest(ended.at, $3),
       duration_ms = greatest(pg_catalog.round(extract(epoch FROM ended.at - $3) * 1000), 0)::int8
  FROM (SELECT pg_catalog.clock_timestamp() AS at) AS ended
 WHERE run.history = $1
   AND run.version = $2
RETURNING run.duration_ms
