-- migrate/relation_size
-- $1 text quoted name of a relation
-- Its size with indexes and TOAST, and the planner's idea of its rows; no row where the name leads nowhere.
SELECT pg_catalog.pg_total_relation_size(relation.oid) AS size_bytes,
       greatest(relation.reltuples, 0)::int8 AS row_estimate
  FROM pg_catalog.pg_class AS relation
 WHERE relation.oid = pg_catalog.to_regclass($1)
