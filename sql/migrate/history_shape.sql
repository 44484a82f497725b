-- migrate/history_shape
-- $1 text quoted, qualified name of the history table
-- Type of the table's version column; no row where there is no such table. Stock refinery makes int4.
SELECT pg_catalog.format_type(attribute.atttypid, NULL) AS version_type
  FROM pg_catalog.pg_attribute AS attribute
 WHERE attribute.attrelid = pg_catalog.to_regclass($1)
   AND attribute.attname = 'version'
   AND NOT attribute.attisdropped
