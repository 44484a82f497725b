-- rollup/moved_relations
-- $1 text: name
-- Tables that came to a rollup or went since they were remembered; those that are here with their present name. Ranges
-- are told as texts, since they may be infinite.
SELECT root_space.nspname::text AS root_schema, root.relname::text AS root_table, moved.is_here,
       rollup.source = moved.root AS is_source,
       space.nspname::text AS schema, class.relname::text AS "table", moved.lo::text AS lo, moved.hi::text AS hi
  FROM highwater.moved_relations($1) AS moved
  JOIN highwater.rollup AS rollup ON rollup.name = $1
  JOIN pg_catalog.pg_class AS root ON root.oid = pg_catalog.to_regclass(moved.root)
  JOIN pg_catalog.pg_namespace AS root_space ON root_space.oid = root.relnamespace
  LEFT JOIN pg_catalog.pg_class AS class ON class.oid = moved.relation
  LEFT JOIN pg_catalog.pg_namespace AS space ON space.oid = class.relnamespace
 ORDER BY moved.root, moved.name
