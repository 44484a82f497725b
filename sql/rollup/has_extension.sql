-- rollup/has_extension
-- $1 text: an extension
-- Where it is installed, and whether its functions are found without naming that schema; no row when it is not there.
SELECT schema.nspname::text AS schema, schema.nspname = ANY (pg_catalog.current_schemas(true)) AS is_on_path
  FROM pg_catalog.pg_extension AS extension
  JOIN pg_catalog.pg_namespace AS schema ON schema.oid = extension.extnamespace
 WHERE extension.extname = $1
