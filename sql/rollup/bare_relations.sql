-- rollup/bare_relations
-- $1 text: source, qualified and quoted
-- How many relations of a source lack a capture trigger or have one disabled.
WITH RECURSIVE tree (relid) AS (
  SELECT pg_catalog.to_regclass($1)::oid
  UNION
  SELECT inherits.inhrelid FROM tree JOIN pg_catalog.pg_inherits AS inherits ON inherits.inhparent = tree.relid
)
SELECT count(*) AS bare FROM tree
 WHERE (SELECT count(*) FROM pg_catalog.pg_trigger AS trigger
         WHERE trigger.tgrelid = tree.relid AND trigger.tgenabled IN ('O', 'A')
           AND trigger.tgname IN ('highwater_capture_insert', 'highwater_capture_update',
                                  'highwater_capture_delete', 'highwater_capture_truncate')) < 4
