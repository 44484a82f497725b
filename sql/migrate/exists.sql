-- migrate/exists
-- $1 text quoted name of a relation
SELECT pg_catalog.to_regclass($1) IS NOT NULL AS present
