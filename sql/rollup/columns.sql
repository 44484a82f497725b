-- rollup/columns
-- $1 text: qualified, quoted relation
-- Columns in order, with their full type, collation where it is not the type's own, and whether they can be NULL.
SELECT attribute.attname::text AS name,
       pg_catalog.format_type(attribute.atttypid, attribute.atttypmod) AS type,
       pg_catalog.format_type(attribute.atttypid, NULL) AS base_type,
       attribute.atttypid::int8 AS type_id,
       CASE WHEN attribute.attcollation <> type.typcollation
            THEN pg_catalog.quote_ident(namespace.nspname) || '.' || pg_catalog.quote_ident(coll.collname) END AS collation_name,
       attribute.attnotnull AS not_null,
       type.typcategory::text AS category
  FROM pg_catalog.pg_attribute AS attribute
  JOIN pg_catalog.pg_type AS type ON type.oid = attribute.atttypid
  LEFT JOIN pg_catalog.pg_collation AS coll ON coll.oid = attribute.attcollation
  LEFT JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = coll.collnamespace
 WHERE attribute.attrelid = pg_catalog.to_regclass($1) AND attribute.attnum > 0 AND NOT attribute.attisdropped
 ORDER BY attribute.attnum
