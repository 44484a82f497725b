-- rollup/unfillable
-- $1 text: name
-- Sealed months: they cannot be computed from the source any more.
SELECT count(*) AS months FROM highwater.rollup_slice AS slice
 WHERE slice.rollup = $1 AND slice.sealed_at IS NOT NULL
