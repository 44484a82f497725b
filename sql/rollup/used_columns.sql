-- rollup/used_columns
-- $1 text: a view over the temporary relation "source"
-- Columns of "source" that the view reads; none when it reads whole rows, since then every column counts.
SELECT attribute.attname::text AS name
  FROM pg_catalog.pg_rewrite AS rule
  JOIN pg_catalog.pg_depend AS depend
    ON depend.classid = 'pg_catalog.pg_rewrite'::regclass AND depend.objid = rule.oid
   AND depend.refclassid = 'pg_catalog.pg_class'::regclass AND depend.refobjid = 'pg_temp.source'::regclass
  JOIN pg_catalog.pg_attribute AS attribute
    ON attribute.attrelid = depend.refobjid AND attribute.attnum = depend.refobjsubid
 WHERE rule.ev_class = pg_catalog.to_regclass($1) AND depend.refobjsubid > 0
   -- a reference to a whole row names column 0 and leaves no dependency
   AND rule.ev_action::text NOT LIKE '%:varattno 0 %'
 ORDER BY attribute.attname
