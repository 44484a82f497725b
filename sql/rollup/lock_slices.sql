-- rollup/lock_slices
-- $1 text[]: names
-- Nobody else writes a month of these rollups until the transaction ends. Pending ones are counted.
SELECT slice.rollup, slice.state FROM highwater.rollup_slice AS slice
 WHERE slice.rollup = ANY ($1) ORDER BY slice.rollup, slice.slice_start FOR UPDATE
