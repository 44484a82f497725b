-- rollup/forget
-- $1 text: name
-- $2 timestamptz: start of the month, whose slice the caller holds
-- The month leaves the ledger, and everything before its end is beyond the rollup from now on.
WITH slice AS (
  DELETE FROM highwater.rollup_slice AS slice WHERE slice.rollup = $1 AND slice.slice_start = $2
  RETURNING slice.slice_end
)
UPDATE highwater.rollup AS rollup
   SET dropped_before = greatest(rollup.dropped_before, slice.slice_end)
  FROM slice
 WHERE rollup.name = $1
RETURNING rollup.name
