-- migrate/ledger_begin
-- $1 text history   $2 int8 version   $3 text scope   $4 text name   $5 text sha256   $6 text normalised_sha256
-- $7 text[] definition_sha256   $8 text tool_version
-- A statement outside a transaction is about to run: if it is cut off, the next run knows that it began. A row
-- that is there is such a beginning, or what a history that was reset left behind; both are begun again.
INSERT INTO highwater.migration_run AS run
       (history, version, scope, name, started_at, sha256, normalised_sha256, definition_sha256, tool_version)
VALUES ($1, $2, $3, $4, pg_catalog.clock_timestamp(), $5, $6, $7, $8)
    ON CONFLICT ON CONSTRAINT migration_run_pkey DO UPDATE
   SET scope = EXCLUDED.scope, name = EXCLUDED.name, started_at = EXCLUDED.started_at, finished_at = NULL,
       duration_ms = NULL, sha256 = EXCLUDED.sha256, normalised_sha256 = EXCLUDED.normalised_sha256,
       definition_sha256 = EXCLUDED.definition_sha256, tool_version = EXCLUDED.tool_version,
       sql_user = current_user, pid = pg_catalog.pg_backend_pid()
