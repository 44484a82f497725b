-- migrate/ledger_read
-- $1 text quoted, qualified name of the history table
-- How the versions of one history were run.
SELECT run.version, run.sha256, run.normalised_sha256, run.definition_sha256, run.started_at, run.finished_at,
       run.duration_ms
  FROM highwater.migration_run AS run
 WHERE run.history = $1
 ORDER BY run.version
