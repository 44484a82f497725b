-- rollup/status
-- One row per rollup. Coverage is the newest stretch without a pending slice.
WITH slice AS (
  SELECT slice.rollup,
         count(*) FILTER (WHERE slice.state = 'complete') AS complete,
         count(*) FILTER (WHERE slice.state = 'pending') AS pending,
         count(*) FILTER (WHERE slice.sealed_at IS NOT NULL) AS sealed,
         max(slice.slice_end) FILTER (WHERE slice.state = 'complete') AS covered_to,
         coalesce(sum(slice.rows), 0)::bigint AS rows,
         -- a fill makes a month right; NULL in a schema that has no such columns yet
         coalesce(sum(drift.rows), 0)::bigint AS drifted_rows, max(drift.at) AS drifted_at,
         array_agg(to_char(slice.slice_start AT TIME ZONE 'UTC', 'YYYY-MM') ORDER BY slice.slice_start)
           FILTER (WHERE drift.rows IS NOT NULL) AS drifted_months
    FROM highwater.rollup_slice AS slice
    LEFT JOIN LATERAL (
         SELECT (to_jsonb(slice) ->> 'drifted_rows')::bigint, (to_jsonb(slice) ->> 'drifted_at')::timestamptz) AS drift (rows, at)
      ON slice.state = 'complete' AND (drift.at < slice.finished_at) IS NOT TRUE
   -- months that were made beforehand cover nothing yet
   WHERE slice.rows > 0 OR slice.slice_start <= clock_timestamp()
   GROUP BY slice.rollup
), covered AS (
  SELECT slice.rollup, slice.complete, slice.pending, slice.sealed, slice.covered_to, slice.rows, slice.drifted_rows,
         slice.drifted_at, slice.drifted_months,
         (SELECT min(inner_slice.slice_start) FROM highwater.rollup_slice AS inner_slice
           WHERE inner_slice.rollup = slice.rollup AND inner_slice.state = 'complete'
             AND inner_slice.slice_start >= coalesce(
                   (SELECT max(gap.slice_end) FROM highwater.rollup_slice AS gap
                     WHERE gap.rollup = slice.rollup AND gap.state = 'pending' AND gap.slice_end <= slice.covered_to),
                   '-infinity')) AS covered_from
    FROM slice
), bare AS (
  SELECT rollup.name, array_agg(relation::text ORDER BY relation::text) AS relations
    FROM highwater.rollup AS rollup CROSS JOIN LATERAL highwater.bare_relations(rollup.source) AS relation
   GROUP BY rollup.name
)
SELECT rollup.name, rollup.source, rollup.target, rollup.watermark_at, rollup.drained_at, rollup.census_at,
       extract(epoch FROM clock_timestamp() - rollup.watermark_at)::float8 AS lag_seconds,
       clock_timestamp() AS now,
       coalesce(covered.complete, 0) AS slices_complete, coalesce(covered.pending, 0) AS slices_pending,
       coalesce(covered.sealed, 0) AS slices_sealed, rollup.dropped_before, rollup.aside_marks,
       extract(epoch FROM clock_timestamp() - rollup.aside_at)::float8 AS aside_seconds,
       covered.covered_from, covered.covered_to, coalesce(covered.rows, 0) AS rows,
       coalesce(covered.drifted_rows, 0) AS drifted_rows, covered.drifted_at, coalesce(covered.drifted_months, '{}') AS drifted_months,
       pg_catalog.to_regclass(rollup.source) IS NOT NULL AS has_source,
       EXISTS (SELECT FROM highwater.rollup_watch AS watch WHERE watch.rollup = rollup.name) AS has_watch,
       coalesce(bare.relations, '{}') AS bare_relations,
       ARRAY(SELECT moved.name FROM highwater.moved_relations(rollup.name) AS moved
              WHERE pg_catalog.to_regclass(moved.root) IS NOT NULL AND NOT (moved.is_here AND moved.relation IN (SELECT highwater.bare_relations(rollup.source)::oid))
              ORDER BY moved.name) AS moved_relations,
       ARRAY(SELECT present.name FROM highwater.relations_of(rollup.name) AS present
              WHERE EXISTS (SELECT FROM pg_catalog.pg_subscription_rel AS fed WHERE fed.srrelid = present.relation)
              ORDER BY present.name) AS subscribed_relations,
       rollup.last_error, rollup.last_error_at,
       -- NULL in a schema that has no such columns yet
       to_jsonb(rollup.*) ->> 'engine_sha256' AS engine_sha256, to_jsonb(rollup.*) ->> 'capture_sha256' AS capture_sha256,
       to_jsonb(rollup.*) ->> 'engine_build' AS engine_build,
       (to_jsonb(rollup.*) ->> 'paused_at')::timestamptz AS paused_at, to_jsonb(rollup.*) ->> 'replaces' AS replaces
  FROM highwater.rollup AS rollup
  LEFT JOIN covered ON covered.rollup = rollup.name
  LEFT JOIN bare ON bare.name = rollup.name
 ORDER BY rollup.name
