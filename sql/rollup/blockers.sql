-- rollup/blockers
-- $1 text: target, qualified and quoted
-- What others have hung on a target and what its successor would silently lack, in words.
WITH tree (relid) AS (
  SELECT tree.relid::oid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) AS tree
)
SELECT format('trigger %I on %s', trigger.tgname, trigger.tgrelid::regclass) AS blocker
  FROM pg_catalog.pg_trigger AS trigger WHERE trigger.tgrelid IN (SELECT tree.relid FROM tree) AND NOT trigger.tgisinternal
UNION ALL
SELECT format('policy %I on %s', policy.polname, policy.polrelid::regclass)
  FROM pg_catalog.pg_policy AS policy WHERE policy.polrelid IN (SELECT tree.relid FROM tree)
UNION ALL
SELECT format('row-level security of %s', class.oid::regclass)
  FROM pg_catalog.pg_class AS class WHERE class.oid IN (SELECT tree.relid FROM tree) AND class.relrowsecurity
UNION ALL
SELECT format('publication %I of %s', publication.pubname, member.prrelid::regclass)
  FROM pg_catalog.pg_publication_rel AS member
  JOIN pg_catalog.pg_publication AS publication ON publication.oid = member.prpubid
 WHERE member.prrelid IN (SELECT tree.relid FROM tree)
UNION ALL
SELECT DISTINCT format('function %s', depend.objid::regprocedure)
  FROM pg_catalog.pg_depend AS depend
 WHERE depend.classid = 'pg_catalog.pg_proc'::regclass AND depend.refclassid = 'pg_catalog.pg_class'::regclass
   AND depend.refobjid IN (SELECT tree.relid FROM tree)
 ORDER BY 1
