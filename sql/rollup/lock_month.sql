-- rollup/lock_month
-- $1 text: source, as highwater.rollup names it
-- $2 timestamptz: start of the month
-- The month of every rollup over the source, locked until the transaction ends, in the order of the primary key.
SELECT slice.rollup, slice.state, slice.sealed_at IS NOT NULL AS is_sealed, rollup.definition_sha256
  FROM highwater.rollup_slice AS slice
  JOIN highwater.rollup AS rollup ON rollup.name = slice.rollup
 WHERE rollup.source = $1 AND slice.slice_start = $2
 ORDER BY slice.rollup
   FOR UPDATE OF slice
