-- migrate/index_meant_definition
-- $1 text quoted name of an index in pg_temp
SELECT pg_catalog.pg_get_indexdef(pg_catalog.to_regclass($1)) AS definition
