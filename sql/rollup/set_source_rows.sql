-- rollup/set_source_rows
-- $1 text: name
-- $2 timestamptz[]: slice starts
-- $3 bigint[]: the planner's row estimates, in the same order
-- Remembers how large slices are thought to be; a count by the census is not overwritten. A slice that someone is
-- writing is left out: an estimate is not worth a wait.
WITH free AS (
  SELECT slice.rollup, slice.slice_start, estimate.rows
    FROM highwater.rollup_slice AS slice
    JOIN unnest($2::timestamptz[], $3::bigint[]) AS estimate (slice_start, rows) ON estimate.slice_start = slice.slice_start
   WHERE slice.rollup = $1 AND slice.source_rows IS NULL
   ORDER BY slice.slice_start
     FOR NO KEY UPDATE OF slice SKIP LOCKED
)
UPDATE highwater.rollup_slice AS slice
   SET source_rows = free.rows
  FROM free
 WHERE slice.rollup = free.rollup AND slice.slice_start = free.slice_start
