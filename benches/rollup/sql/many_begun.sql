-- bench/many_begun
-- $1 timestamptz: when the worker was started
-- Rollups that no drain has come to since.
SELECT count(*) AS idle FROM highwater.rollup AS rollup
 WHERE rollup.name LIKE 'bench\_many\_%' AND (rollup.drained_at > $1) IS NOT TRUE
