-- rollup/read_indexes
-- $1 text: target, qualified and quoted
-- $2 text: beginning of the names of its read indexes
SELECT format('%I.%I', namespace.nspname, class.relname) AS name
  FROM pg_catalog.pg_index AS index
  JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
  JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE index.indrelid = pg_catalog.to_regclass($1) AND starts_with(class.relname, $2)
 ORDER BY 1
