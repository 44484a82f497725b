-- Which tables a rollup's rows come from: partitions come and go without firing a trigger.

CREATE TABLE highwater.rollup_relation (
  rollup text NOT NULL CONSTRAINT rollup_relation_rollup_exists REFERENCES highwater.rollup (name) ON DELETE CASCADE,
  root text NOT NULL,
  relation oid NOT NULL,
  name text NOT NULL,
  lo timestamptz NOT NULL,
  hi timestamptz NOT NULL,
  PRIMARY KEY (rollup, root, relation)
);
COMMENT ON TABLE highwater.rollup_relation IS 'One table, partition or inheriting table that a rollup counts or watches, as it was when capture was last looked after. What differs from the catalog came or went since.';
COMMENT ON COLUMN highwater.rollup_relation.rollup IS 'Name of the rollup.';
COMMENT ON COLUMN highwater.rollup_relation.root IS 'The source or the watched table that it belongs to, as rollup.source and rollup_watch.relation name it.';
COMMENT ON COLUMN highwater.rollup_relation.relation IS 'Its identity in the catalog.';
COMMENT ON COLUMN highwater.rollup_relation.name IS 'Its name, for people: a dropped one has none in the catalog.';
COMMENT ON COLUMN highwater.rollup_relation.lo IS 'No row of it has an earlier time, inclusive; -infinity when its bounds do not say.';
COMMENT ON COLUMN highwater.rollup_relation.hi IS 'No row of it has this time or a later one; infinity when its bounds do not say.';

-- Bounds of a range partition over the time are widened to whole days and a day more: local times lie up to a day from
-- their instants, and whole days lie on every grain.
CREATE FUNCTION highwater.relations_of(p_rollup text) RETURNS TABLE (root text, relation oid, name text, prefix text, lo timestamptz, hi timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO' AS $$
  WITH RECURSIVE root (name, prefix, time_column) AS (
    SELECT r.source, 'highwater_capture_', r.time_column FROM highwater.rollup AS r WHERE r.name = p_rollup
    UNION
    SELECT w.relation, 'highwater_watch_', NULL FROM highwater.rollup_watch AS w WHERE w.rollup = p_rollup
  ), tree (root, prefix, time_column, relid, lo, hi) AS (
    SELECT root.name, root.prefix, root.time_column, to_regclass(root.name)::oid, timestamptz '-infinity', timestamptz 'infinity'
      FROM root WHERE to_regclass(root.name) IS NOT NULL
    UNION ALL
    SELECT tree.root, tree.prefix, tree.time_column, child.oid, coalesce(bound.lo, tree.lo), coalesce(bound.hi, tree.hi)
      FROM tree
      JOIN pg_inherits AS inherits ON inherits.inhparent = tree.relid
      JOIN pg_class AS child ON child.oid = inherits.inhrelid
      LEFT JOIN LATERAL (
        SELECT substring(said.text FROM 'FROM \(''([^'']*)''\)')::timestamptz AS lo,
               substring(said.text FROM 'TO \(''([^'']*)''\)')::timestamptz AS hi
          FROM pg_partitioned_table AS parent
          JOIN pg_attribute AS leads ON leads.attrelid = parent.partrelid AND leads.attnum = parent.partattrs[0]
         CROSS JOIN LATERAL pg_get_expr(child.relpartbound, child.oid) AS said (text)
         WHERE parent.partrelid = tree.relid AND parent.partstrat = 'r' AND parent.partnatts = 1
           AND leads.attname = tree.time_column) AS bound ON true
  )
  SELECT tree.root, tree.relid, min(tree.relid::regclass::text), tree.prefix,
         CASE WHEN min(tree.lo) > '0001-01-03 00:00+00' THEN date_bin('1 day', min(tree.lo), '2000-01-01 00:00+00') - interval '1 day'
              ELSE '-infinity' END,
         CASE WHEN max(tree.hi) < '9999-12-29 00:00+00' THEN date_bin('1 day', max(tree.hi), '2000-01-01 00:00+00') + interval '2 days'
              ELSE 'infinity' END
    FROM tree GROUP BY tree.root, tree.relid, tree.prefix
$$;
COMMENT ON FUNCTION highwater.relations_of(text) IS 'Tables, partitions and inheriting tables that a rollup counts or watches, with the range of times that their rows can have.';

CREATE FUNCTION highwater.moved_relations(p_rollup text) RETURNS TABLE (root text, relation oid, name text, prefix text, is_here boolean, lo timestamptz, hi timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(present.root, known.root), coalesce(present.relation, known.relation), coalesce(present.name, known.name), present.prefix,
         present.relation IS NOT NULL, least(present.lo, known.lo), greatest(present.hi, known.hi)
    FROM highwater.relations_of(p_rollup) AS present
    FULL JOIN (SELECT k.root, k.relation, k.name, k.lo, k.hi FROM highwater.rollup_relation AS k WHERE k.rollup = p_rollup) AS known
      ON known.root = present.root AND known.relation = present.relation
   WHERE known.relation IS NULL OR present.relation IS NULL OR known.lo <> present.lo OR known.hi <> present.hi
$$;
COMMENT ON FUNCTION highwater.moved_relations(text) IS 'Tables that came to a rollup, or went, since capture was last looked after, with the range that they touch.';

CREATE FUNCTION highwater.remember_relations(p_rollup text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM highwater.rollup_relation AS known WHERE known.rollup = p_rollup;
  INSERT INTO highwater.rollup_relation (rollup, root, relation, name, lo, hi)
  SELECT p_rollup, present.root, present.relation, present.name, present.lo, present.hi
    FROM highwater.relations_of(p_rollup) AS present;
END
$$;
COMMENT ON FUNCTION highwater.remember_relations(text) IS 'Takes the present tables of a rollup for known: capture stands on them, and what came or went is marked.';

SELECT highwater.remember_relations(rollup.name) FROM highwater.rollup AS rollup;

-- Asked by capture when it has reason to: whether a column that it reads has been renamed, dropped or retyped.
CREATE FUNCTION highwater.has_lost_columns(p_relation oid, p_names text[], p_types oid[]) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT count(*) <> cardinality(p_names)
    FROM unnest(p_names, p_types) AS wanted (name, type)
    JOIN pg_attribute AS a ON a.attrelid = p_relation AND a.attname = wanted.name AND a.atttypid = wanted.type AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION highwater.has_lost_columns(oid, text[], oid[]) IS 'Whether one of these columns of a table is gone or of another type.';
