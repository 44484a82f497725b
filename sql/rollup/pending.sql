-- rollup/pending
-- $1 text: name
-- $2 timestamptz: start of the range, inclusive; NULL for the beginning
-- $3 timestamptz: end of the range, exclusive; NULL for the end
-- Pending slices that the range touches, newest first, with what is known of their size.
SELECT slice.slice_start, slice.source_rows
  FROM highwater.rollup_slice AS slice
 WHERE slice.rollup = $1 AND slice.state = 'pending'
   AND ($2::timestamptz IS NULL OR slice.slice_end > $2)
   AND ($3::timestamptz IS NULL OR slice.slice_start < $3)
 ORDER BY slice.slice_start DESC
