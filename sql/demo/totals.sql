-- demo/totals
-- Events in the source, and what the rollup says it counted.
SELECT (SELECT count(*) FROM activity) AS events,
       (SELECT sum(hourly.changes)::bigint FROM highwater.activity_hourly AS hourly) AS counted,
       (SELECT count(*) FROM highwater.activity_hourly) AS rows,
       to_regclass('public.activity_daily') IS NULL AS is_daily_gone
