-- rollup/target_owner
-- $1 text: relation, qualified and quoted
-- Owner and comment of a relation.
SELECT owner.rolname::text AS owner, pg_catalog.obj_description(class.oid, 'pg_class') AS comment
  FROM pg_catalog.pg_class AS class
  JOIN pg_catalog.pg_roles AS owner ON owner.oid = class.relowner
 WHERE class.oid = pg_catalog.to_regclass($1)
