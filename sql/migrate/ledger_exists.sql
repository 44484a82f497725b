-- migrate/ledger_exists
-- Whether highwater's first migration was applied.
SELECT pg_catalog.to_regclass('highwater.migration_run') IS NOT NULL AS present
