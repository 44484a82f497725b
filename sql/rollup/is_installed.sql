-- rollup/is_installed
-- Whether highwater's own migrations have made the ledger.
SELECT pg_catalog.to_regclass('highwater.rollup_slice') IS NOT NULL AS installed
