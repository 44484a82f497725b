-- rollup/prunable
-- $1 text: source, as highwater.rollup names it
-- $2 text[]: keep_source of every rollup over it
-- Months whose raw events may go: complete in every rollup over the source, over for longer than each keeps them, and with
-- something changed since the last prune. Oldest first.
WITH known AS (
  SELECT count(*) AS rollups FROM highwater.rollup AS rollup WHERE rollup.source = $1
)
SELECT slice.slice_start
  FROM highwater.rollup_slice AS slice
  JOIN highwater.rollup AS rollup ON rollup.name = slice.rollup
 WHERE rollup.source = $1
   AND slice.slice_end <= (SELECT min(clock_timestamp() - keep.span::interval) FROM unnest($2::text[]) AS keep (span))
 GROUP BY slice.slice_start
HAVING count(*) FILTER (WHERE slice.state = 'complete') = (SELECT known.rollups FROM known)
   AND bool_or(slice.pruned_at IS NULL OR slice.drained_at > slice.pruned_at)
 ORDER BY slice.slice_start
