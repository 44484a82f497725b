-- rollup/resolve_table
-- $1 text: table as written in a definition; resolved on the transaction's search_path
-- No row: there is no such relation.
SELECT namespace.nspname::text AS schema, class.relname::text AS name, class.relkind::text AS kind
  FROM pg_catalog.pg_class AS class
  JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE class.oid = pg_catalog.to_regclass($1)
