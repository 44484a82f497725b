-- rollup/has_engine
-- Whether the ledger records renderings yet: highwater's first migrations install rollups before it does.
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_attribute AS attribute
   WHERE attribute.attrelid = 'highwater.rollup'::regclass AND attribute.attname = 'engine_sha256') AS found
