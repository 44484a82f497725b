-- schema/is_installed
-- Whether highwater's own migrations have left their history here.
SELECT pg_catalog.to_regclass('highwater.refinery_schema_history') IS NOT NULL AS installed
