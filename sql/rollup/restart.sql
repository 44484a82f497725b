-- rollup/restart
-- $1 text: name
-- $2 timestamptz: start of the range, inclusive; NULL for the beginning
-- $3 timestamptz: end of the range, exclusive; NULL for the end
-- Makes the slices of the range pending again; waits for whoever is writing one. The rows stay: the rebuild is a
-- difference.
WITH held AS (
  -- in order, as windows lock them, so that the two never deadlock
  SELECT slice.rollup, slice.slice_start
    FROM highwater.rollup_slice AS slice
   WHERE slice.rollup = $1
     AND ($2::timestamptz IS NULL OR slice.slice_end > $2)
     AND ($3::timestamptz IS NULL OR slice.slice_start < $3)
   ORDER BY slice.slice_start
     FOR UPDATE
)
UPDATE highwater.rollup_slice AS slice
   SET state = 'pending', filled_to = NULL
  FROM held
 WHERE slice.rollup = held.rollup AND slice.slice_start = held.slice_start
