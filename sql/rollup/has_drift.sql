-- rollup/has_drift
-- Whether the ledger has a place for drift yet: a rolling upgrade begins with the schema before this build's.
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_attribute AS attribute
   WHERE attribute.attrelid = 'highwater.rollup_slice'::regclass AND attribute.attname = 'drifted_rows') AS found
