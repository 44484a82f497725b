-- migrate/index_state
-- $1 text quoted name of the table
-- $2 text name of the index
-- What bears the index's name in the table's schema: no row when the table is missing or the name is free.
SELECT relation.relkind::text AS kind, pg_catalog.quote_ident(schema.nspname) AS schema_name,
       coalesce(index.indrelid = wanted.oid, false) AS on_table,
       coalesce(index.indisvalid AND index.indisready AND index.indislive, false) AS valid,
       pg_catalog.pg_get_indexdef(index.indexrelid) AS definition
  FROM pg_catalog.pg_class AS wanted
  JOIN pg_catalog.pg_namespace AS schema ON schema.oid = wanted.relnamespace
  JOIN pg_catalog.pg_class AS relation ON relation.relnamespace = wanted.relnamespace AND relation.relname = $2
  LEFT JOIN pg_catalog.pg_index AS index ON index.indexrelid = relation.oid
 WHERE wanted.oid = pg_catalog.to_regclass($1)
