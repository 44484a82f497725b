-- migrate/history_schema_exists
-- $1 text quoted name of the history table's schema
SELECT pg_catalog.to_regnamespace($1) IS NOT NULL AS present
