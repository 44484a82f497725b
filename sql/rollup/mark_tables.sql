-- rollup/mark_tables
-- $1 text[]: names of rollups
-- What autovacuum has not cleaned away yet: rows that are gone from each rollup's mark table and still lie in it, and the
-- size of the table.
SELECT rollup.name, coalesce(stat.n_dead_tup, 0) AS dead_rows, pg_catalog.pg_total_relation_size(class.oid) AS bytes
  FROM unnest($1::text[]) AS rollup (name)
  JOIN pg_catalog.pg_class AS class ON class.oid = pg_catalog.to_regclass(format('highwater.%I', rollup.name || '_mark'))
  LEFT JOIN pg_catalog.pg_stat_all_tables AS stat ON stat.relid = class.oid
