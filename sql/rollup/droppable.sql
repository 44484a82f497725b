-- rollup/droppable
-- $1 text: name
-- $2 text: keep, as an interval
-- $3 text[]: schema and name of the target
-- Months of the rollup that ended longer ago than it keeps them, oldest first, and the tables that hold them.
SELECT slice.slice_start, highwater.partition_of($3, slice.slice_start) AS partition, coalesce(slice.rows, 0) AS rows
  FROM highwater.rollup_slice AS slice
 WHERE slice.rollup = $1 AND slice.slice_end <= clock_timestamp() - $2::interval
 ORDER BY slice.slice_start
