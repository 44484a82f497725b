-- rollup/definitions_watching
-- $1 text: watched table, as highwater.rollup_watch names it
-- Definitions of every rollup that watches one table, for its capture function.
SELECT rollup.definition FROM highwater.rollup AS rollup
 WHERE rollup.name IN (SELECT watch.rollup FROM highwater.rollup_watch AS watch WHERE watch.relation = $1)
 ORDER BY rollup.name
