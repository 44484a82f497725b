-- Drift that a comparison has found stays on record with its month, until that month is right.

ALTER TABLE highwater.rollup_slice
  ADD COLUMN drifted_rows bigint CONSTRAINT rollup_slice_drifted_rows_are_some CHECK (drifted_rows > 0),
  ADD COLUMN drifted_at timestamptz,
  ADD CONSTRAINT rollup_slice_drift_has_a_time CHECK ((drifted_rows IS NULL) = (drifted_at IS NULL));
COMMENT ON COLUMN highwater.rollup_slice.drifted_rows IS 'Rows that differed from the source when the month was last compared; NULL: none, or it was made right since.';
COMMENT ON COLUMN highwater.rollup_slice.drifted_at IS 'Database clock when they were found.';

-- Until now it was the rollup's last error.
UPDATE highwater.rollup SET last_error = NULL, last_error_at = NULL WHERE last_error LIKE 'drift: %';
