-- rollup/set_paused
-- $1 text: name
-- $2 boolean: whether it is paused from now on
-- No row: there is no such rollup. A rollup that is paused already stays paused since then.
UPDATE highwater.rollup AS rollup
   SET paused_at = CASE WHEN $2 THEN coalesce(rollup.paused_at, clock_timestamp()) END
 WHERE rollup.name = $1 RETURNING rollup.paused_at
