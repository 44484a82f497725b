-- migrate/history_read
-- {history} the history table
-- All that was applied, oldest first. The casts read tables of every refinery, and hand-made ones.
SELECT history.version::int8 AS version, history.name::text AS name, history.applied_on::text AS applied_on,
       history.checksum::text AS checksum
  FROM {history} AS history
 ORDER BY history.version
