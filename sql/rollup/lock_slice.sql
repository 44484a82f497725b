-- rollup/lock_slice
-- $1 text: name
-- $2 timestamptz: start of the month
-- No row: the month is not on the ledger any more.
SELECT slice.slice_start, slice.slice_end
  FROM highwater.rollup_slice AS slice
 WHERE slice.rollup = $1 AND slice.slice_start = $2
   FOR UPDATE
