-- scheduler/lag
-- How far each rollup is behind its source, by the database's clock; for the watch, for readiness and for metrics.
SELECT rollup.name, rollup.census_at IS NOT NULL AS is_counted, rollup.last_error,
       rollup.paused_at IS NOT NULL AS is_paused,
       EXISTS (SELECT FROM highwater.rollup_watch AS watch WHERE watch.rollup = rollup.name) AS has_watch,
       extract(epoch FROM clock_timestamp() - rollup.watermark_at)::float8 AS lag_seconds,
       extract(epoch FROM clock_timestamp() - rollup.installed_at)::float8 AS age_seconds,
       (SELECT count(*) FROM highwater.rollup_slice AS slice
         WHERE slice.rollup = rollup.name AND slice.state = 'pending') AS slices_pending,
       -- a fill makes a month right; none in a schema that has no such columns yet
       (SELECT coalesce(sum((to_jsonb(slice) ->> 'drifted_rows')::bigint), 0)::bigint FROM highwater.rollup_slice AS slice
         WHERE slice.rollup = rollup.name AND slice.state = 'complete'
           AND ((to_jsonb(slice) ->> 'drifted_at')::timestamptz < slice.finished_at) IS NOT TRUE) AS drifted_rows
  FROM highwater.rollup AS rollup
 ORDER BY rollup.name
