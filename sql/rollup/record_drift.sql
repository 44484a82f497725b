-- rollup/record_drift
-- $1 text: rollup
-- $2 timestamptz[]: starts of the months that were compared or made right
-- $3 bigint[]: rows of each that differ
-- $4 boolean[]: whether all of the month is known to be as said
-- A month of which a part is right may differ elsewhere. Rows are locked in order, as windows lock them.
WITH found AS (
  SELECT f.slice_start, f.rows, f.is_whole FROM unnest($2::timestamptz[], $3::bigint[], $4::boolean[]) AS f (slice_start, rows, is_whole)
), slice AS (
  SELECT s.slice_start, f.rows
    FROM highwater.rollup_slice AS s JOIN found AS f ON f.slice_start = s.slice_start
   WHERE s.rollup = $1 AND (f.rows > 0 OR f.is_whole AND s.drifted_rows IS NOT NULL)
   ORDER BY s.slice_start
     FOR UPDATE OF s
)
UPDATE highwater.rollup_slice AS s
   SET drifted_rows = nullif(slice.rows, 0), drifted_at = CASE WHEN slice.rows > 0 THEN clock_timestamp() END
  FROM slice
 WHERE s.rollup = $1 AND s.slice_start = slice.slice_start
