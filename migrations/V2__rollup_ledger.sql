-- Rollups, their slices, and the guard.

CREATE TABLE highwater.rollup (
  name text PRIMARY KEY CONSTRAINT rollup_name_is_short CHECK (name ~ '^[a-z][a-z0-9_]{0,39}$'),
  definition text NOT NULL,
  definition_sha256 text NOT NULL CONSTRAINT rollup_definition_sha256_is_hex CHECK (definition_sha256 ~ '^[0-9a-f]{64}$'),
  source text NOT NULL,
  target text NOT NULL,
  capture_function text NOT NULL,
  time_column text NOT NULL,
  tenant_column text,
  grain interval NOT NULL CONSTRAINT rollup_grain_is_known
    CHECK (grain IN (interval '15 minutes', interval '30 minutes', interval '1 hour', interval '1 day')),
  installed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  census_at timestamptz,
  watermark_at timestamptz,
  drained_at timestamptz,
  last_error text,
  last_error_at timestamptz,
  CONSTRAINT rollup_error_has_a_time CHECK ((last_error IS NULL) = (last_error_at IS NULL))
);
COMMENT ON TABLE highwater.rollup IS 'One row per installed rollup.';
COMMENT ON COLUMN highwater.rollup.name IS 'Name of the rollup; its objects are highwater.NAME_mark, NAME_wide and the functions NAME_*.';
COMMENT ON COLUMN highwater.rollup.definition IS 'The definition file (TOML) as it was installed.';
COMMENT ON COLUMN highwater.rollup.definition_sha256 IS 'SHA-256 of definition, hex; a file that differs is drift.';
COMMENT ON COLUMN highwater.rollup.source IS 'Source table, schema-qualified and quoted where needed.';
COMMENT ON COLUMN highwater.rollup.target IS 'Target table, schema-qualified and quoted where needed.';
COMMENT ON COLUMN highwater.rollup.capture_function IS 'Trigger function of the source, shared by all rollups over it.';
COMMENT ON COLUMN highwater.rollup.time_column IS 'Column of the source that decides the bucket.';
COMMENT ON COLUMN highwater.rollup.tenant_column IS 'First column of the key; NULL for a rollup without tenants.';
COMMENT ON COLUMN highwater.rollup.grain IS 'Width of a bucket.';
COMMENT ON COLUMN highwater.rollup.installed_at IS 'Database clock at installation.';
COMMENT ON COLUMN highwater.rollup.census_at IS 'When the ledger was first completed: from then on a month without a slice has no rows, or open marks.';
COMMENT ON COLUMN highwater.rollup.watermark_at IS 'Every change whose COMMIT had returned before this is in the complete slices. A report, never a filter.';
COMMENT ON COLUMN highwater.rollup.drained_at IS 'Database clock of the last drain pass, also of an idle one.';
COMMENT ON COLUMN highwater.rollup.last_error IS 'Last failure of a drain or backfill; NULL again after the next success.';
COMMENT ON COLUMN highwater.rollup.last_error_at IS 'When last_error was recorded.';

CREATE TABLE highwater.rollup_slice (
  rollup text NOT NULL CONSTRAINT rollup_slice_rollup_exists REFERENCES highwater.rollup (name) ON DELETE CASCADE,
  slice_start timestamptz NOT NULL,
  slice_end timestamptz NOT NULL,
  state text NOT NULL CONSTRAINT rollup_slice_state_is_known CHECK (state IN ('pending', 'complete')),
  rows bigint CONSTRAINT rollup_slice_rows_are_counted CHECK (rows >= 0),
  source_rows bigint,
  attempts integer NOT NULL DEFAULT 0,
  started_at timestamptz,
  finished_at timestamptz,
  duration_ms bigint,
  drained_at timestamptz,
  error text,
  PRIMARY KEY (rollup, slice_start),
  CONSTRAINT rollup_slice_is_a_month CHECK (
    -- In UTC, not in the session's zone: a dump must load anywhere.
    slice_start = date_trunc('month', slice_start, 'UTC')
    AND slice_end = (slice_start AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC')
) WITH (fillfactor = 70);
COMMENT ON TABLE highwater.rollup_slice IS 'One calendar month of one rollup: whoever writes that month holds this row FOR UPDATE in the same transaction.';
COMMENT ON COLUMN highwater.rollup_slice.rollup IS 'Name of the rollup.';
COMMENT ON COLUMN highwater.rollup_slice.slice_start IS 'First instant of the month, UTC, inclusive.';
COMMENT ON COLUMN highwater.rollup_slice.slice_end IS 'First instant of the next month, UTC, exclusive.';
COMMENT ON COLUMN highwater.rollup_slice.state IS 'pending: to be filled by a backfill; complete: filled, and kept current by drains.';
COMMENT ON COLUMN highwater.rollup_slice.rows IS 'Rows of the rollup in this month.';
COMMENT ON COLUMN highwater.rollup_slice.source_rows IS 'Rows of the source in this month when the census counted them, else the planner''s estimate; for progress only.';
COMMENT ON COLUMN highwater.rollup_slice.attempts IS 'Finished and failed fills.';
COMMENT ON COLUMN highwater.rollup_slice.started_at IS 'Database clock when the last fill began.';
COMMENT ON COLUMN highwater.rollup_slice.finished_at IS 'Database clock when the last fill ended.';
COMMENT ON COLUMN highwater.rollup_slice.duration_ms IS 'Length of the last fill in milliseconds.';
COMMENT ON COLUMN highwater.rollup_slice.drained_at IS 'Database clock of the last change by a drain or rebuild.';
COMMENT ON COLUMN highwater.rollup_slice.error IS 'Why the last fill failed; NULL after a success.';

-- What a drain or backfill computes must be read by a snapshot younger than the one that claimed the marks.
CREATE FUNCTION highwater.assert_read_committed() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'highwater writes rollups under READ COMMITTED only, not under %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'active_sql_transaction', HINT = 'start the transaction with BEGIN ISOLATION LEVEL READ COMMITTED';
  END IF;
END
$$;
COMMENT ON FUNCTION highwater.assert_read_committed() IS 'Raises unless the transaction is READ COMMITTED.';

CREATE FUNCTION highwater.assert_on_grain(p_rollup text, p_from timestamptz, p_to timestamptz, p_grain interval) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_origin CONSTANT timestamptz := '2000-01-01 00:00:00+00';
  v_end timestamptz;
BEGIN
  IF p_from IS NULL OR p_to IS NULL OR p_from >= p_to THEN
    RAISE EXCEPTION 'the range [%, %) of rollup "%" is empty', p_from, p_to, p_rollup USING ERRCODE = 'invalid_parameter_value';
  END IF;
  FOREACH v_end IN ARRAY ARRAY[p_from, p_to] LOOP
    IF NOT isfinite(v_end) OR date_bin(p_grain, v_end, v_origin) <> v_end THEN
      RAISE EXCEPTION '% is not a bucket boundary of rollup "%", whose grain is %', v_end, p_rollup, p_grain
        USING ERRCODE = 'invalid_parameter_value', HINT = 'both ends must be whole multiples of the grain, in UTC';
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION highwater.assert_on_grain(text, timestamptz, timestamptz, interval) IS 'Raises unless both ends of [from, to) lie on the grain.';

-- The table of one month: highwater.usage_hourly, 2026-03 -> highwater.usage_hourly_2026_03.
CREATE FUNCTION highwater.partition_of(p_target text[], p_slice timestamptz) RETURNS text
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
  SELECT format('%I.%I', p_target[1], p_target[2] || to_char(p_slice AT TIME ZONE 'UTC', '"_"YYYY"_"MM'))
$$;
COMMENT ON FUNCTION highwater.partition_of(text[], timestamptz) IS 'Qualified, quoted name of the partition of {schema, table} that holds a month.';

CREATE FUNCTION highwater.leads_an_index(p_table text, p_column text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (
    SELECT FROM pg_index AS i
      JOIN pg_class AS c ON c.oid = i.indexrelid
      JOIN pg_am AS am ON am.oid = c.relam
      JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
     WHERE i.indrelid = to_regclass(p_table) AND i.indisvalid AND i.indpred IS NULL
       AND am.amname = 'btree' AND a.attname = p_column)
$$;
COMMENT ON FUNCTION highwater.leads_an_index(text, text) IS 'Whether a valid, complete btree index of the table begins with the column.';

-- The two estimates resolve the query's names on their caller's search path.
CREATE FUNCTION highwater.estimate_rows(p_query text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || p_query INTO v_plan;
  RETURN (v_plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric::bigint;
END
$$;
COMMENT ON FUNCTION highwater.estimate_rows(text) IS 'How many rows the planner expects from a query.';

CREATE FUNCTION highwater.estimate_bytes(p_query text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_plan json;
  -- Header and item pointer of a heap tuple, and the same again for its entry in a unique index over most columns.
  v_overhead CONSTANT numeric := 56;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || p_query INTO v_plan;
  RETURN ((v_plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric
          * (2 * (v_plan -> 0 -> 'Plan' ->> 'Plan Width')::numeric + v_overhead))::bigint;
END
$$;
COMMENT ON FUNCTION highwater.estimate_bytes(text) IS 'How much disk the planner''s idea of a query''s result would take with a unique index over it.';

CREATE FUNCTION highwater.refuse_bucket(p_rollup text, p_wanted timestamptz, p_found timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the query of rollup "%" answered for bucket % with a row of bucket % or of another tenant', p_rollup, p_wanted, p_found
    USING ERRCODE = 'data_exception', HINT = 'it must return source.bucket and the tenant as they are, and group by them';
END
$$;
COMMENT ON FUNCTION highwater.refuse_bucket(text, timestamptz, timestamptz) IS 'Raises: a definition''s query moved rows to a bucket or tenant that was not asked for.';

CREATE FUNCTION highwater.bare_relations(p_source text) RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH RECURSIVE tree (relid) AS (
    SELECT to_regclass(p_source)::oid
    UNION
    SELECT inherits.inhrelid FROM tree JOIN pg_inherits AS inherits ON inherits.inhparent = tree.relid
  )
  SELECT tree.relid::regclass FROM tree
   WHERE tree.relid IS NOT NULL
     AND (SELECT count(*) FROM pg_trigger AS trigger
           WHERE trigger.tgrelid = tree.relid AND trigger.tgenabled IN ('O', 'A')
             AND trigger.tgname IN ('highwater_capture_insert', 'highwater_capture_update',
                                    'highwater_capture_delete', 'highwater_capture_truncate')) < 4
$$;
COMMENT ON FUNCTION highwater.bare_relations(text) IS 'Relations of a source, partitions and children included, on which a capture trigger is missing or disabled: changes there are not seen.';

-- The guard: a migration may call it by hand; `highwater migrate up` calls it for every require-rollup.
CREATE FUNCTION highwater.assert_rollup_current(p_name text, p_max_lag interval DEFAULT '5 minutes') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_rollup highwater.rollup;
  v_pending bigint;
  v_first timestamptz;
  v_lag interval;
BEGIN
  SELECT r.* INTO v_rollup FROM highwater.rollup AS r WHERE r.name = p_name;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'refusing to go on: there is no rollup "%"', p_name
      USING ERRCODE = 'HW010', HINT = 'install it with "highwater rollup add" or an add-rollup directive in an earlier migration';
  END IF;
  IF v_rollup.census_at IS NULL THEN
    RAISE EXCEPTION 'refusing to go on: rollup "%" was never backfilled', p_name
      USING ERRCODE = 'HW010', HINT = format('run "highwater backfill %s"', p_name);
  END IF;
  SELECT count(*), min(s.slice_start) INTO v_pending, v_first
    FROM highwater.rollup_slice AS s WHERE s.rollup = p_name AND s.state <> 'complete';
  IF v_pending > 0 THEN
    RAISE EXCEPTION 'refusing to go on: % slice(s) of rollup "%" are not backfilled, the first is %',
        v_pending, p_name, to_char(v_first AT TIME ZONE 'UTC', 'YYYY-MM')
      USING ERRCODE = 'HW010', HINT = format('run "highwater backfill %s"', p_name);
  END IF;
  IF EXISTS (SELECT FROM highwater.bare_relations(v_rollup.source)) THEN
    RAISE EXCEPTION 'refusing to go on: changes of % are not captured, so that rollup "%" may lack some', v_rollup.source, p_name
      USING ERRCODE = 'HW010', HINT = format('run "highwater rollup add" with the definition again, then "highwater rollup drain %s"', p_name);
  END IF;
  v_lag := clock_timestamp() - v_rollup.watermark_at;
  IF v_lag IS NULL OR v_lag > p_max_lag THEN
    RAISE EXCEPTION 'refusing to go on: rollup "%" is % behind its source, allowed is %',
        p_name, coalesce(v_lag::text, 'an unknown time'), p_max_lag
      USING ERRCODE = 'HW010', HINT = format('run "highwater rollup drain %s"', p_name);
  END IF;
END
$$;
COMMENT ON FUNCTION highwater.assert_rollup_current(text, interval) IS 'The guard: raises (SQLSTATE HW010) unless the rollup is complete and its watermark is at most max_lag old.';
