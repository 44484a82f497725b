-- rollup/seal
-- $1 text: source, as highwater.rollup names it
-- $2 timestamptz: start of the month
-- $3 boolean: whether the prune has come to the month's end
-- Notes in every rollup over the source that the month is sealed. The caller holds the slices' rows.
UPDATE highwater.rollup_slice AS slice
   SET sealed_at = coalesce(slice.sealed_at, clock_timestamp()),
       pruned_at = CASE WHEN $3 THEN clock_timestamp() ELSE slice.pruned_at END
  FROM highwater.rollup AS rollup
 WHERE rollup.source = $1 AND slice.rollup = rollup.name AND slice.slice_start = $2
RETURNING slice.rollup
