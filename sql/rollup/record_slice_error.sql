-- rollup/record_slice_error
-- $1 text: name
-- $2 timestamptz: slice start
-- $3 text: what went wrong
-- In a transaction of its own: an error noted in the failed one would be rolled back with it.
WITH slice AS (
  UPDATE highwater.rollup_slice AS slice
     SET error = $3, attempts = slice.attempts + 1
   WHERE slice.rollup = $1 AND slice.slice_start = $2
)
UPDATE highwater.rollup AS rollup
   SET last_error = $3, last_error_at = clock_timestamp()
 WHERE rollup.name = $1
