-- scheduler/needs_backfill
-- $1 text: rollup
-- Whether months wait to be filled, or nobody has counted them yet, and the rollup is not paused. No row: the rollup is gone.
SELECT rollup.paused_at IS NULL AND (rollup.census_at IS NULL OR EXISTS (
         SELECT FROM highwater.rollup_slice AS slice WHERE slice.rollup = rollup.name AND slice.state = 'pending')) AS needed
  FROM highwater.rollup AS rollup
 WHERE rollup.name = $1
