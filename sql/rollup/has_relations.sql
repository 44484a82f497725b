-- rollup/has_relations
-- Whether highwater's schema remembers the tables of rollups already.
SELECT pg_catalog.to_regclass('highwater.rollup_relation') IS NOT NULL AS found
