-- rollup/set_source_rows
-- $1 text: name
-- $2 timestamptz[]: slice starts
-- $3 bigint[]: the planner's row estimates, in the same order
-- Remembers how large slices are thought to be; a count by the census is not overwritten.
UPDATE highwater.rollup_slice AS slice
   SET source_rows = estimate.rows
  FROM unnest($2, $3) AS estimate (slice_start, rows)
 WHERE slice.rollup = $1 AND slice.slice_start = estimate.slice_start AND slice.source_rows IS NULL
