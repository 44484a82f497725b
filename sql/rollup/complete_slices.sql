-- rollup/complete_slices
-- $1 text: name
-- $2 timestamptz: start of the range, inclusive; NULL for the beginning
-- $3 timestamptz: end of the range, exclusive; NULL for the end
-- $4 integer: how many to take at random; NULL for all
-- Complete slices that the range touches, newest first.
SELECT chosen.slice_start, chosen.source_rows FROM (
  SELECT slice.slice_start, slice.source_rows
    FROM highwater.rollup_slice AS slice
   WHERE slice.rollup = $1 AND slice.state = 'complete'
     -- a month that was made beforehand has nothing to compare
     AND (slice.rows > 0 OR slice.slice_start <= clock_timestamp())
     AND ($2::timestamptz IS NULL OR slice.slice_end > $2)
     AND ($3::timestamptz IS NULL OR slice.slice_start < $3)
   ORDER BY CASE WHEN $4::integer IS NOT NULL THEN random() END
   LIMIT coalesce($4, 2147483647)
) AS chosen
 ORDER BY chosen.slice_start DESC
