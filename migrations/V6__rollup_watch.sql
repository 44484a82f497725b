-- Watched tables: joined tables whose changes move a rollup's history between keys.

CREATE TABLE highwater.rollup_watch (
  rollup text NOT NULL CONSTRAINT rollup_watch_rollup_exists REFERENCES highwater.rollup (name) ON DELETE CASCADE,
  ordinal integer NOT NULL CONSTRAINT rollup_watch_ordinal_is_counted CHECK (ordinal > 0),
  relation text NOT NULL,
  PRIMARY KEY (rollup, ordinal)
);
CREATE INDEX rollup_watch_relation ON highwater.rollup_watch (relation);
COMMENT ON TABLE highwater.rollup_watch IS 'One watched table of one rollup.';
COMMENT ON COLUMN highwater.rollup_watch.rollup IS 'Name of the rollup.';
COMMENT ON COLUMN highwater.rollup_watch.ordinal IS 'Place among the definition''s [[watch]] tables, from 1; NAME_watch.watch says the same.';
COMMENT ON COLUMN highwater.rollup_watch.relation IS 'The watched table, schema-qualified and quoted where needed.';

-- Of a source and of every table that a rollup over it watches: those tables, partitions and children included, on
-- which a trigger is missing or disabled.
CREATE OR REPLACE FUNCTION highwater.bare_relations(p_source text) RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH RECURSIVE tree (relid, prefix) AS (
    SELECT to_regclass(p_source)::oid, 'highwater_capture_'
    UNION
    SELECT to_regclass(watch.relation)::oid, 'highwater_watch_'
      FROM highwater.rollup AS rollup JOIN highwater.rollup_watch AS watch ON watch.rollup = rollup.name
     WHERE to_regclass(rollup.source) = to_regclass(p_source)
    UNION
    SELECT inherits.inhrelid, tree.prefix FROM tree JOIN pg_inherits AS inherits ON inherits.inhparent = tree.relid
  )
  SELECT DISTINCT tree.relid::regclass FROM tree
   WHERE tree.relid IS NOT NULL
     AND (SELECT count(*) FROM pg_trigger AS trigger
           WHERE trigger.tgrelid = tree.relid AND trigger.tgenabled IN ('O', 'A')
             AND trigger.tgname IN (tree.prefix || 'insert', tree.prefix || 'update',
                                    tree.prefix || 'delete', tree.prefix || 'truncate')) < 4
$$;
COMMENT ON FUNCTION highwater.bare_relations(text) IS 'Relations of a source and of the tables watched by rollups over it, partitions and children included, on which a trigger is missing or disabled: changes there are not seen.';
