-- rollup/leaves
-- $1 text: qualified, quoted table
-- The table itself and, where it is partitioned, every partition below it: a statement against a partition fires
-- that partition's triggers only.
SELECT namespace.nspname::text AS schema, class.relname::text AS name
  FROM pg_catalog.pg_class AS class
  JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE class.oid = pg_catalog.to_regclass($1)
    OR class.oid IN (SELECT tree.relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) AS tree)
 ORDER BY namespace.nspname, class.relname
