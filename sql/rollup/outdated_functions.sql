-- rollup/outdated_functions
-- $1 text[]: names of functions, all of which this transaction has just written
-- Functions of those names that it has not written: of an older rendering, with other parameters.
SELECT pg_catalog.format('%s', procedure.oid::regprocedure) AS function
  FROM pg_catalog.pg_proc AS procedure
 WHERE procedure.pronamespace = 'highwater'::regnamespace AND procedure.proname = ANY ($1)
   AND procedure.xmin <> pg_catalog.pg_current_xact_id()::xid
