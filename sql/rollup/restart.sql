-- rollup/restart
-- $1 text: name
-- $2 timestamptz: start of the range, inclusive; NULL for the beginning
-- $3 timestamptz: end of the range, exclusive; NULL for the end
-- Makes the slices of the range pending again; waits for whoever is writing one. The rows stay: the rebuild is a
-- difference.
UPDATE highwater.rollup_slice AS slice
   SET state = 'pending'
 WHERE slice.rollup = $1
   AND ($2::timestamptz IS NULL OR slice.slice_end > $2)
   AND ($3::timestamptz IS NULL OR slice.slice_start < $3)
