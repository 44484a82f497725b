-- rollup/progress
-- $1 text: name
-- How far the ledger is, and how fast slices were filled so far.
SELECT rollup.census_at, rollup.watermark_at,
       count(slice.slice_start) FILTER (WHERE slice.state = 'complete') AS complete,
       count(slice.slice_start) FILTER (WHERE slice.state = 'pending') AS pending,
       coalesce(sum(slice.source_rows) FILTER (WHERE slice.duration_ms > 0 AND slice.state = 'complete'), 0)::bigint AS timed_rows,
       coalesce(sum(slice.duration_ms) FILTER (WHERE slice.source_rows IS NOT NULL AND slice.state = 'complete'), 0)::bigint AS timed_ms
  FROM highwater.rollup AS rollup
  LEFT JOIN highwater.rollup_slice AS slice ON slice.rollup = rollup.name
 WHERE rollup.name = $1
 GROUP BY rollup.name
