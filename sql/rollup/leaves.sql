-- rollup/leaves
-- $1 text: qualified, quoted table
-- The table itself and every partition or inheriting table below it: a statement against one of those fires its own
-- triggers only.
WITH RECURSIVE tree (relid) AS (
  SELECT pg_catalog.to_regclass($1)::oid
  UNION
  SELECT inherits.inhrelid FROM tree JOIN pg_catalog.pg_inherits AS inherits ON inherits.inhparent = tree.relid
)
SELECT namespace.nspname::text AS schema, class.relname::text AS name
  FROM pg_catalog.pg_class AS class
  JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE class.oid IN (SELECT tree.relid FROM tree)
 ORDER BY namespace.nspname, class.relname
