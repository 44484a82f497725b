-- Which rendering of a rollup's functions is installed, and a drain that any client can call.

ALTER TABLE highwater.rollup
  ADD COLUMN engine_sha256 text CONSTRAINT rollup_engine_sha256_is_hex CHECK (engine_sha256 ~ '^[0-9a-f]{64}$'),
  ADD COLUMN capture_sha256 text CONSTRAINT rollup_capture_sha256_is_hex CHECK (capture_sha256 ~ '^[0-9a-f]{64}$'),
  ADD COLUMN engine_build text,
  ADD COLUMN rendered_at timestamptz;
COMMENT ON COLUMN highwater.rollup.engine_sha256 IS 'Fingerprint of the functions and views that are installed, hex; NULL: rendered before fingerprints were kept.';
COMMENT ON COLUMN highwater.rollup.capture_sha256 IS 'Fingerprint of the capture that is installed on the source, hex; NULL: as above.';
COMMENT ON COLUMN highwater.rollup.engine_build IS 'Version of the highwater that rendered them.';
COMMENT ON COLUMN highwater.rollup.rendered_at IS 'Database clock when they were rendered.';

-- The same as "highwater rollup drain", for pg_cron or by hand. One call is one transaction: the months that have marks
-- stay locked until its end, and all of it is undone by an error. They are locked first and in order, as the window
-- function locks them, so that two calls never deadlock; passes after that take no other month that is held.
CREATE FUNCTION highwater.drain(p_name text,
  OUT passes bigint, OUT marks bigint, OUT buckets bigint, OUT rows_written bigint, OUT slices_pending bigint,
  OUT watermark_at timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
DECLARE
  v_began CONSTANT timestamptz := clock_timestamp();
  v_census_at timestamptz;
  v_pass record;
BEGIN
  PERFORM highwater.assert_read_committed();
  SELECT r.census_at INTO v_census_at FROM highwater.rollup AS r WHERE r.name = p_name;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no rollup "%"', p_name
      USING ERRCODE = 'undefined_object',
            HINT = coalesce((SELECT 'installed are ' || string_agg(r.name, ', ' ORDER BY r.name) FROM highwater.rollup AS r),
                            'none is installed');
  END IF;
  passes := 0; marks := 0; buckets := 0; rows_written := 0;
  IF v_census_at IS NULL THEN
    EXECUTE format('SELECT highwater.%I()', p_name || '_census');
  END IF;
  EXECUTE format('SELECT highwater.%I()', p_name || '_expand');
  EXECUTE format(
    'SELECT slice.slice_start FROM highwater.rollup_slice AS slice
      WHERE slice.rollup = $1 AND slice.slice_start IN (
              SELECT date_trunc(''month'', m.bucket, ''UTC'') FROM highwater.%I AS m
              UNION ALL SELECT date_trunc(''month'', w.lo, ''UTC'') FROM highwater.%I AS w WHERE w.split)
      ORDER BY slice.slice_start FOR UPDATE', p_name || '_mark', p_name || '_wide') USING p_name;
  LOOP
    -- by its defaults and by names, so that a rendering of another version does as well
    EXECUTE format(
      'SELECT pass.outcome, pass.marks, pass.buckets, pass.oldest_left,
              coalesce(pass.rows_added, 0) + coalesce(pass.rows_changed, 0) + coalesce(pass.rows_removed, 0) AS rows_written
         FROM highwater.%I() AS pass', p_name || '_drain') INTO STRICT v_pass;
    passes := passes + 1;
    marks := marks + coalesce(v_pass.marks, 0);
    buckets := buckets + coalesce(v_pass.buckets, 0);
    rows_written := rows_written + v_pass.rows_written;
    EXIT WHEN v_pass.oldest_left IS NULL OR v_pass.oldest_left > v_began;
    -- What was visible at the start lies in months that are ours: the rest came later.
    EXIT WHEN v_pass.outcome = 'busy';
    IF v_pass.outcome = 'unexpanded' THEN
      EXECUTE format('SELECT highwater.%I()', p_name || '_expand');
    END IF;
  END LOOP;
  SELECT r.watermark_at, (SELECT count(*) FROM highwater.rollup_slice AS slice
                           WHERE slice.rollup = p_name AND slice.state = 'pending')
    INTO STRICT watermark_at, slices_pending
    FROM highwater.rollup AS r WHERE r.name = p_name;
END
$$;
COMMENT ON FUNCTION highwater.drain(text) IS 'Makes right every bucket of a rollup that is marked when the call begins, in one READ COMMITTED transaction; returns what it did.';
