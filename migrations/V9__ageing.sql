-- Ageing: sealed months, whose raw events may be pruned, and months that a rollup has let go.

ALTER TABLE highwater.rollup
  ADD COLUMN dropped_before timestamptz,
  ADD COLUMN aside_marks bigint NOT NULL DEFAULT 0 CONSTRAINT rollup_aside_marks_are_counted CHECK (aside_marks >= 0),
  ADD COLUMN aside_at timestamptz;
COMMENT ON COLUMN highwater.rollup.dropped_before IS 'Months before this were dropped as the definition''s keep says; NULL: none was.';
COMMENT ON COLUMN highwater.rollup.aside_marks IS 'Changes that came for dropped months: they are in no bucket.';
COMMENT ON COLUMN highwater.rollup.aside_at IS 'Database clock when the last of them was counted.';

ALTER TABLE highwater.rollup_slice
  ADD COLUMN sealed_at timestamptz,
  ADD COLUMN pruned_at timestamptz;
COMMENT ON COLUMN highwater.rollup_slice.sealed_at IS 'Since when raw events of the month are pruned: its values are NAME_base and what the source still holds. NULL: it is not sealed.';
COMMENT ON COLUMN highwater.rollup_slice.pruned_at IS 'Database clock when a prune last came to the end of the month.';

CREATE FUNCTION highwater.refuse_cut(p_rollup text, p_bucket timestamptz, p_zone text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'a local period of % cuts bucket % of rollup "%", whose raw events were pruned', p_zone, p_bucket, p_rollup
    USING ERRCODE = 'data_exception',
          HINT = 'read whole buckets: a zone whose offset is a multiple of the grain, and ends on the grain';
END
$$;
COMMENT ON FUNCTION highwater.refuse_cut(text, timestamptz, text) IS 'Raises: part of a bucket was asked for, and its raw events are gone.';

CREATE FUNCTION highwater.assert_kept(p_rollup text, p_from timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_dropped_before timestamptz;
BEGIN
  SELECT r.dropped_before INTO v_dropped_before FROM highwater.rollup AS r WHERE r.name = p_rollup;
  IF p_from < v_dropped_before THEN
    RAISE EXCEPTION 'rollup "%" has dropped its months before %, and the range begins at %', p_rollup, v_dropped_before, p_from
      USING ERRCODE = 'invalid_parameter_value', HINT = 'begin the range there';
  END IF;
END
$$;
COMMENT ON FUNCTION highwater.assert_kept(text, timestamptz) IS 'Raises when a range begins in months that the rollup has dropped.';

INSERT INTO highwater.job (name, kind, scopes, cadence, catch_up_window, timeout, backoff, max_attempts, max_crashes) VALUES
  ('age', 'builtin', 'rollup', '1 day', '1 day', '12 hours', '5 minutes', 5, 20);
