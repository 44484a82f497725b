-- A month that is too large for one transaction is filled in parts: how far they have come.

ALTER TABLE highwater.rollup_slice
  ADD COLUMN filled_to timestamptz,
  ADD CONSTRAINT rollup_slice_filled_to_is_inside CHECK (filled_to > slice_start AND filled_to < slice_end),
  ADD CONSTRAINT rollup_slice_filled_to_is_of_a_pending_one CHECK (filled_to IS NULL OR state = 'pending');
COMMENT ON COLUMN highwater.rollup_slice.filled_to IS 'Of a month that is filled in parts: what lies before this instant is filled, and kept current by drains; NULL while no part is, and of a complete month.';
