-- rollup/dependents
-- $1 text[]: relations of a rollup, qualified and quoted: its target and its views
-- Views that others have made over them, and over those, in an order in which they can be made again.
WITH RECURSIVE own (relid) AS (
  SELECT pg_catalog.to_regclass(name)::oid FROM unnest($1::text[]) AS name
), tree (relid, depth) AS (
  SELECT own.relid, 0 FROM own WHERE own.relid IS NOT NULL
  UNION
  SELECT rule.ev_class, tree.depth + 1
    FROM tree
    JOIN pg_catalog.pg_depend AS depend
      ON depend.refclassid = 'pg_catalog.pg_class'::regclass AND depend.refobjid = tree.relid
     AND depend.classid = 'pg_catalog.pg_rewrite'::regclass
    JOIN pg_catalog.pg_rewrite AS rule ON rule.oid = depend.objid AND rule.ev_class <> tree.relid
), deepest (relid, depth) AS (
  SELECT tree.relid, max(tree.depth) FROM tree GROUP BY tree.relid
)
SELECT format('%I.%I', namespace.nspname, class.relname) AS name, class.relkind = 'v' AS is_view,
       format('CREATE VIEW %I.%I%s AS %s', namespace.nspname, class.relname,
              ' WITH (' || array_to_string(class.reloptions, ', ') || ')', pg_catalog.pg_get_viewdef(class.oid)) AS statement,
       format('ALTER VIEW %I.%I OWNER TO %I', namespace.nspname, class.relname, owner.rolname) AS own_it,
       'COMMENT ON VIEW ' || format('%I.%I', namespace.nspname, class.relname) || ' IS '
         || quote_literal(pg_catalog.obj_description(class.oid, 'pg_class')) AS comment_on_it
  FROM deepest
  JOIN pg_catalog.pg_class AS class ON class.oid = deepest.relid
  JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
  JOIN pg_catalog.pg_roles AS owner ON owner.oid = class.relowner
 WHERE deepest.depth > 0 AND deepest.relid NOT IN (SELECT own.relid FROM own WHERE own.relid IS NOT NULL)
 ORDER BY deepest.depth, name
