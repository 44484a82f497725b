-- A rollup can be paused, and can be one that is being built to take another's place.

ALTER TABLE highwater.rollup
  ADD COLUMN paused_at timestamptz,
  ADD COLUMN replaces text CONSTRAINT rollup_replaces_another CHECK (replaces <> name);
COMMENT ON COLUMN highwater.rollup.paused_at IS 'Since when the worker leaves it alone: capture goes on, marks are kept. NULL: it does not.';
COMMENT ON COLUMN highwater.rollup.replaces IS 'Of a rollup that "rollup alter" is building: the one whose place it will take. NULL: an ordinary one.';
