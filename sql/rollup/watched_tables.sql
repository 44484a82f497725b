-- rollup/watched_tables
-- $1 text: name
-- Tables that a rollup watches.
SELECT DISTINCT watch.relation FROM highwater.rollup_watch AS watch WHERE watch.rollup = $1 ORDER BY watch.relation
