-- How each migration went. What was applied is said by refinery's history table beside this one; here is what that
-- format has no room for. The schema was made for the history table: a CREATE SCHEMA here, even with IF NOT EXISTS,
-- would ask for a right on the database that a role whose schema was made for it does not need.

COMMENT ON SCHEMA highwater IS 'Rollups, their ledger and the migrations that lead to them; owned by the program highwater.';

CREATE TABLE highwater.migration_run (
    history           text        NOT NULL,
    version           bigint      NOT NULL,
    scope             text        NOT NULL,
    name              text        NOT NULL,
    started_at        timestamptz NOT NULL,
    finished_at       timestamptz,
    duration_ms       bigint,
    sha256            text        NOT NULL,
    normalised_sha256 text        NOT NULL,
    definition_sha256 text[]      NOT NULL DEFAULT '{}',
    tool_version      text        NOT NULL,
    sql_user          text        NOT NULL DEFAULT current_user,
    pid               integer     NOT NULL DEFAULT pg_backend_pid(),
    CONSTRAINT migration_run_pkey PRIMARY KEY (history, version),
    CONSTRAINT migration_run_scope_known CHECK (scope IN ('own', 'app')),
    CONSTRAINT migration_run_version_not_negative CHECK (version >= 0),
    CONSTRAINT migration_run_ends_whole CHECK ((finished_at IS NULL) = (duration_ms IS NULL)),
    CONSTRAINT migration_run_ends_after_start CHECK (finished_at >= started_at),
    CONSTRAINT migration_run_duration_not_negative CHECK (duration_ms >= 0),
    CONSTRAINT migration_run_sha256_hex CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT migration_run_normalised_sha256_hex CHECK (normalised_sha256 ~ '^[0-9a-f]{64}$')
);

COMMENT ON TABLE highwater.migration_run IS 'How each migration was run: one row a version, written in the transaction of its history row.';
COMMENT ON COLUMN highwater.migration_run.history IS 'Quoted, qualified name of the history table that records the version.';
COMMENT ON COLUMN highwater.migration_run.version IS 'The number in the file''s name.';
COMMENT ON COLUMN highwater.migration_run.scope IS 'own: embedded in highwater; app: from the application''s folder.';
COMMENT ON COLUMN highwater.migration_run.name IS 'The words in the file''s name.';
COMMENT ON COLUMN highwater.migration_run.started_at IS 'Start of the last attempt, after its hooks, by the database''s clock.';
COMMENT ON COLUMN highwater.migration_run.finished_at IS 'End of the last attempt; NULL while a statement outside a transaction runs, or since it was cut off.';
COMMENT ON COLUMN highwater.migration_run.duration_ms IS 'Milliseconds from started_at to finished_at.';
COMMENT ON COLUMN highwater.migration_run.sha256 IS 'SHA-256 of the file, byte for byte, in hexadecimal.';
COMMENT ON COLUMN highwater.migration_run.normalised_sha256 IS 'SHA-256 of the file without comments, line ends and spacing: tells an edited comment from edited SQL.';
COMMENT ON COLUMN highwater.migration_run.definition_sha256 IS 'SHA-256 of each rollup definition that the migration installed, in the order of its head.';
COMMENT ON COLUMN highwater.migration_run.tool_version IS 'Version of highwater that ran it.';
COMMENT ON COLUMN highwater.migration_run.sql_user IS 'Role that ran it.';
COMMENT ON COLUMN highwater.migration_run.pid IS 'Server process that ran it.';
