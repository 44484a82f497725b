-- template/functions
-- The engine of one rollup, in the server: one call is one unit of work in one transaction, so that a client that is
-- stopped, frozen or killed holds nothing. Every function asserts READ COMMITTED, because what it computes must be
-- read by a snapshot younger than the one that claimed the marks.

-- The census: makes a pending slice for every month of [p_from, p_to) that holds rows and has none. Over the whole
-- calendar it also completes the ledger: from then on a month without a slice is a month without rows, or a marked one.
-- An index that leads with the time finds the months by jumping, and so does one of (tenant, time) while tenants are
-- few; else one scan finds and counts them. The scan is a fifth of all the work of a backfill, and no other connection
-- can begin before it ends.
CREATE OR REPLACE FUNCTION {{census}}(p_from timestamptz DEFAULT NULL, p_to timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = {{search_path}} SET TimeZone = 'UTC' SET row_security = off SET jit = off AS {{quote}}
DECLARE
  v_from timestamptz := greatest(p_from, {{calendar_start}}{{or_dropped}});
  v_to timestamptz := least(p_to, {{calendar_end}});
  v_made bigint;
BEGIN
  PERFORM highwater.assert_read_committed();
  IF highwater.leads_an_index({{source_literal}}, {{time_name_literal}}) AND {{time_is_monotone}} THEN
    EXECUTE {{tag}}
{{census_by_index}}
    {{tag}} USING v_from, v_to;
  {{census_by_tenant}}
  ELSE
    EXECUTE {{tag}}
{{census_by_scan}}
    {{tag}} USING v_from, v_to;
  END IF;
  GET DIAGNOSTICS v_made = ROW_COUNT;
  IF p_from IS NULL AND p_to IS NULL THEN
    UPDATE highwater.rollup AS r SET census_at = clock_timestamp() WHERE r.name = {{name_literal}};
  END IF;
  RETURN v_made;
END
{{quote}};

-- Makes a month that holds no rows yet: complete, empty, its table attached. False when it is on the ledger already.
CREATE OR REPLACE FUNCTION {{month}}(p_month timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS {{quote}}
BEGIN
  -- Whoever makes the same month meanwhile waits here, and then finds it made.
  INSERT INTO highwater.rollup_slice (rollup, slice_start, slice_end, state, rows)
  VALUES ({{name_literal}}, p_month, p_month + interval '1 month', 'complete', 0)
      ON CONFLICT (rollup, slice_start) DO NOTHING;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  EXECUTE 'CREATE TABLE ' || highwater.partition_of({{target_literal}}, p_month) || ' (LIKE {{target_text}} INCLUDING INDEXES)';
  PERFORM {{attach}}(p_month);
  RETURN true;
END
{{quote}};

-- Makes the current month and p_months coming ones before anything is written to them. Only after the census: before it,
-- nobody knows that they are empty.
CREATE OR REPLACE FUNCTION {{ahead}}(p_months integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS {{quote}}
DECLARE
  v_now timestamptz := date_trunc('month', clock_timestamp(), 'UTC');
  v_made bigint := 0;
BEGIN
  IF EXISTS (SELECT FROM highwater.rollup AS r WHERE r.name = {{name_literal}} AND r.census_at IS NOT NULL) THEN
    FOR v_month IN 0 .. p_months LOOP
      IF {{month}}(v_now + v_month * interval '1 month') THEN
        v_made := v_made + 1;
      END IF;
    END LOOP;
  END IF;
  RETURN v_made;
END
{{quote}};

-- Turns keys of watched tables into marks of the buckets that they touch, makes slices for marked months that have none,
-- and splits range marks at slice bounds. It holds no slice, and expansions take turns.
-- After the census such a month held no row when the ledger was made, so everything in it has left a mark: it starts
-- complete and empty. Before the census nothing is known of it: it starts pending.
CREATE OR REPLACE FUNCTION {{expand}}() RETURNS bigint
LANGUAGE plpgsql SET search_path = {{search_path}} SET TimeZone = 'UTC' SET row_security = off {{expand_settings}} AS {{quote}}
DECLARE
  {{declare_keys}}v_marked_at timestamptz;
  v_month timestamptz;
  v_is_counted boolean;
  v_made bigint := 0;
  v_lo timestamptz[];
  v_hi timestamptz[];
  v_marked timestamptz[];
  v_from timestamptz;
  v_to timestamptz;
BEGIN
  PERFORM highwater.assert_read_committed();
{{expand_watches}}  SELECT r.census_at IS NOT NULL INTO STRICT v_is_counted FROM highwater.rollup AS r WHERE r.name = {{name_literal}};
{{count_aside}}  FOR v_month IN
    SELECT DISTINCT date_trunc('month', m.bucket, 'UTC') AS month FROM {{mark}} AS m
    EXCEPT
    SELECT s.slice_start FROM highwater.rollup_slice AS s WHERE s.rollup = {{name_literal}}
    ORDER BY month
  LOOP
    IF NOT v_is_counted THEN
      INSERT INTO highwater.rollup_slice (rollup, slice_start, slice_end, state)
      VALUES ({{name_literal}}, v_month, v_month + interval '1 month', 'pending')
          ON CONFLICT (rollup, slice_start) DO NOTHING;
    ELSIF v_month = date_trunc('month', clock_timestamp(), 'UTC') THEN
      -- the turn of the month, and no worker has made it: the next one is made with it
      PERFORM {{ahead}}(1);
    ELSE
      PERFORM {{month}}(v_month);
    END IF;
    v_made := v_made + 1;
  END LOOP;
  WITH claimed AS (
    DELETE FROM {{wide}} AS w WHERE NOT w.split RETURNING w.lo, w.hi, w.recount, w.marked_at
  ), range AS (
    SELECT c.lo, c.hi, bool_or(c.recount) AS recount, min(c.marked_at) AS marked_at FROM claimed AS c GROUP BY c.lo, c.hi
  )
  SELECT array_agg(r.lo), array_agg(r.hi), array_agg(r.marked_at), min(r.lo) FILTER (WHERE r.recount), max(r.hi) FILTER (WHERE r.recount)
    INTO v_lo, v_hi, v_marked, v_from, v_to FROM range AS r;
  IF v_from IS NOT NULL THEN
    v_made := v_made + {{census}}(v_from, v_to);
  END IF;
  INSERT INTO {{wide}} (lo, hi, split, marked_at)
  SELECT greatest(c.lo, s.slice_start), least(c.hi, s.slice_end), true, c.marked_at
    FROM unnest(v_lo, v_hi, v_marked) AS c (lo, hi, marked_at)
    JOIN highwater.rollup_slice AS s ON s.slice_start < c.hi AND s.slice_end > c.lo
   WHERE s.rollup = {{name_literal}};
  RETURN v_made;
END
{{quote}};

-- Attaches the finished table of a month. It waits for CREATE INDEX or ANALYZE on the target, not for readers.
CREATE OR REPLACE FUNCTION {{attach}}(p_slice timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET lock_timeout = '10s' AS {{quote}}
DECLARE
  v_partition text := highwater.partition_of({{target_literal}}, p_slice);
  v_end timestamptz := p_slice + interval '1 month';
BEGIN
  -- The CHECK equals the bounds, so that ATTACH need not read the rows again while it holds its lock.
  EXECUTE 'ALTER TABLE ' || v_partition || ' ADD CONSTRAINT highwater_bounds CHECK (bucket >= '
          || quote_literal(p_slice) || ' AND bucket < ' || quote_literal(v_end) || '){{not_null_columns}}';
  EXECUTE 'ALTER TABLE {{target_text}} ATTACH PARTITION ' || v_partition || ' FOR VALUES FROM ('
          || quote_literal(p_slice) || ') TO (' || quote_literal(v_end) || ')';
  EXECUTE 'ALTER TABLE ' || v_partition || ' DROP CONSTRAINT highwater_bounds';
END
{{quote}};

-- Moves the watermark: everything whose COMMIT had returned before it is in the complete slices. The clock is read
-- before the snapshot that looks for marks; a claim of another transaction that has not committed still shows its
-- marks here and holds the watermark back. Returns when the oldest mark left behind was made, NULL for none.
CREATE OR REPLACE FUNCTION {{watermark}}() RETURNS timestamptz
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS {{quote}}
DECLARE
  v_before timestamptz := clock_timestamp();
  v_oldest timestamptz;
BEGIN
  -- An older snapshot would not show the marks that were committed before the clock was read.
  PERFORM highwater.assert_read_committed();
  SELECT least((SELECT min(m.marked_at) FROM {{mark}} AS m), (SELECT min(w.marked_at) FROM {{wide}} AS w){{oldest_key}})
    INTO v_oldest;
  UPDATE highwater.rollup AS r
     SET watermark_at = greatest(r.watermark_at, least(v_before, v_oldest)), drained_at = v_before
   WHERE r.name = {{name_literal}} AND r.census_at IS NOT NULL;
  RETURN v_oldest;
END
{{quote}};

-- Rewrites one range of a complete slice, both ends on the grain and inside it, by difference: rows that are right
-- are not touched. The caller holds the slice's row and has claimed the marks in an earlier statement. Rows are counted
-- anew: whoever asks for a rebuild does not trust what was there.
CREATE OR REPLACE FUNCTION {{rebuild}}(p_slice timestamptz, p_from timestamptz, p_to timestamptz,
  OUT rows_added bigint, OUT rows_changed bigint, OUT rows_removed bigint)
LANGUAGE plpgsql SET search_path = {{search_path}} SET TimeZone = 'UTC' SET row_security = off
{{slice_settings}} AS {{quote}}
DECLARE
  v_partition text := highwater.partition_of({{target_literal}}, p_slice);
  v_rows bigint;
BEGIN
  EXECUTE {{tag}}
{{range_difference}}
  {{tag}} INTO rows_added, rows_changed, rows_removed USING p_from, p_to;
  EXECUTE 'SELECT count(*) FROM ' || v_partition INTO v_rows;
  UPDATE highwater.rollup_slice AS s SET rows = v_rows, drained_at = clock_timestamp()
   WHERE s.rollup = {{name_literal}} AND s.slice_start = p_slice;
END
{{quote}};

-- Fills one slice, or with p_width the next part of it, so many buckets as fit, one at least. Where such parts have come to is
-- filled_to: what lies before it is kept current by drains as a complete month is. Without p_width the month is filled
-- whole, whatever parts were done. `already`: it was complete. `busy`: someone else holds it (only when told not to wait).
-- `part`: some is left.
CREATE OR REPLACE FUNCTION {{fill}}(p_slice timestamptz, p_wait boolean DEFAULT true, p_width interval DEFAULT NULL,
  OUT outcome text, OUT rows_added bigint, OUT rows_changed bigint, OUT rows_removed bigint, OUT part_end timestamptz)
LANGUAGE plpgsql SET search_path = {{search_path}} SET TimeZone = 'UTC' SET row_security = off
{{slice_settings}} AS {{quote}}
DECLARE
  v_started timestamptz := clock_timestamp();
  v_slice highwater.rollup_slice;
  v_partition text := highwater.partition_of({{target_literal}}, p_slice);
  v_is_first boolean;
  v_from timestamptz;
BEGIN
  PERFORM highwater.assert_read_committed();
  IF p_wait THEN
    SELECT s.* INTO v_slice FROM highwater.rollup_slice AS s
     WHERE s.rollup = {{name_literal}} AND s.slice_start = p_slice FOR UPDATE;
  ELSE
    SELECT s.* INTO v_slice FROM highwater.rollup_slice AS s
     WHERE s.rollup = {{name_literal}} AND s.slice_start = p_slice FOR UPDATE SKIP LOCKED;
  END IF;
  IF v_slice.state IS NULL THEN
    outcome := 'busy';
    RETURN;
  ELSIF v_slice.state = 'complete' THEN
    outcome := 'already';
    RETURN;
  END IF;
  v_from := v_slice.slice_start;
  part_end := v_slice.slice_end;
  IF p_width IS NOT NULL THEN
    v_from := coalesce({{filled_to}}, v_from);
    part_end := least(greatest(date_bin({{grain}}, v_from + p_width, {{origin}}), v_from + {{grain}}), v_slice.slice_end);
  END IF;
  v_is_first := v_from = v_slice.slice_start;
  -- Claim: every mark that this fill makes good. What commits after this statement leaves a mark that stays.
  DELETE FROM {{mark}} AS m WHERE m.bucket >= v_from AND m.bucket < part_end;
  DELETE FROM {{wide}} AS w WHERE w.lo >= v_from AND w.hi <= part_end;
  -- Compute, in statements younger than the claim.
  IF to_regclass(v_partition) IS NULL AND part_end < v_slice.slice_end THEN
    -- Attached before it has rows: what is pending may be seen in part, and a table aside would be left behind by a drop.
    EXECUTE 'CREATE TABLE ' || v_partition || ' (LIKE {{target_text}} INCLUDING INDEXES)';
    PERFORM {{attach}}(p_slice);
  END IF;
  IF to_regclass(v_partition) IS NOT NULL THEN
    SELECT b.rows_added, b.rows_changed, b.rows_removed INTO rows_added, rows_changed, rows_removed
      FROM {{rebuild}}(p_slice, v_from, part_end) AS b;
  ELSE
    EXECUTE 'CREATE TABLE ' || v_partition || {{tag}} AS
{{first_fill}}
    {{tag}};
    GET DIAGNOSTICS rows_added = ROW_COUNT;
    rows_changed := 0;
    rows_removed := 0;
    {{build_indexes}}
    PERFORM {{attach}}(p_slice);
    UPDATE highwater.rollup_slice AS s SET rows = rows_added
     WHERE s.rollup = {{name_literal}} AND s.slice_start = p_slice;
  END IF;
  outcome := CASE WHEN part_end < v_slice.slice_end THEN 'part' ELSE 'filled' END;
  -- Of a month in parts the parts' times add up.
  UPDATE highwater.rollup_slice AS s
     SET started_at = CASE WHEN v_is_first THEN v_started ELSE s.started_at END,
         duration_ms = CASE WHEN v_is_first THEN 0 ELSE coalesce(s.duration_ms, 0) END
                       + (extract(epoch FROM clock_timestamp() - v_started) * 1000)::bigint
   WHERE s.rollup = {{name_literal}} AND s.slice_start = p_slice;
  IF outcome = 'part' OR {{filled_to}} IS NOT NULL THEN
    UPDATE highwater.rollup_slice AS s SET filled_to = nullif(part_end, s.slice_end)
     WHERE s.rollup = {{name_literal}} AND s.slice_start = p_slice;
  END IF;
  IF outcome = 'filled' THEN
    UPDATE highwater.rollup_slice AS s
       SET state = 'complete', attempts = s.attempts + 1, finished_at = clock_timestamp(), error = NULL
     WHERE s.rollup = {{name_literal}} AND s.slice_start = p_slice;
  END IF;
END
{{quote}};

-- One pass of the drain: takes the free slice with the oldest mark, claims at most p_limit of its buckets, makes them
-- right and moves the watermark. outcome: drained, filled (a small pending month), discarded (a pending month that is
-- left to the backfill; its marks are covered by that, those of parts that are filled aside), idle, busy (others hold every
-- marked slice, or every marked bucket has been made right less than p_patience ago), unexpanded. is_abreast: no other month had marks when the pass began,
-- and all of this one that may be claimed were.
CREATE OR REPLACE FUNCTION {{drain}}(p_limit integer DEFAULT 20000, p_wait boolean DEFAULT false,
  p_patience interval DEFAULT '0', OUT outcome text, OUT slice_start timestamptz, OUT marks bigint, OUT buckets bigint,
  OUT rows_added bigint, OUT rows_changed bigint, OUT rows_removed bigint, OUT oldest_left timestamptz, OUT is_abreast boolean)
LANGUAGE plpgsql SET search_path = {{search_path}} SET TimeZone = 'UTC' SET row_security = off
SET jit = off SET work_mem = '64MB' SET random_page_cost = 1.1 AS {{quote}}
DECLARE
  v_slice highwater.rollup_slice;
  v_bucket timestamptz[];
  {{declare_tenant_array}}
  v_partition text;
  v_lo timestamptz;
  v_hi timestamptz;
  v_end timestamptz;
  v_began timestamptz := clock_timestamp();
  v_patient timestamptz := v_began - p_patience;
BEGIN
  PERFORM highwater.assert_read_committed();
  marks := 0; buckets := 0; rows_added := 0; rows_changed := 0; rows_removed := 0; is_abreast := false;
  -- What waits for its expansion comes first, or buckets that are marked all the time would keep it waiting. What another
  -- expansion holds is passed over while there is something else to do.
  IF EXISTS (SELECT FROM {{wide}} AS w WHERE NOT w.split FOR UPDATE SKIP LOCKED){{or_free_key}} THEN
    outcome := 'unexpanded';
    oldest_left := {{watermark}}();
    RETURN;
  END IF;
  IF p_wait THEN
    SELECT s.* INTO v_slice FROM highwater.rollup_slice AS s JOIN (
      {{due_slices}}
    ) AS due ON due.month = s.slice_start
     WHERE s.rollup = {{name_literal}} ORDER BY due.oldest, s.slice_start LIMIT 1 FOR UPDATE OF s;
  ELSE
    SELECT s.* INTO v_slice FROM highwater.rollup_slice AS s JOIN (
      {{due_slices}}
    ) AS due ON due.month = s.slice_start
     WHERE s.rollup = {{name_literal}} ORDER BY due.oldest, s.slice_start LIMIT 1 FOR UPDATE OF s SKIP LOCKED;
  END IF;
  slice_start := v_slice.slice_start;
  IF v_slice.state IS NULL THEN
    IF EXISTS (SELECT FROM {{wide}} AS w WHERE NOT w.split){{or_waiting_key}} OR EXISTS (
      SELECT FROM {{mark}} AS m WHERE NOT EXISTS (
        SELECT FROM highwater.rollup_slice AS s
         WHERE s.rollup = {{name_literal}} AND s.slice_start = date_trunc('month', m.bucket, 'UTC'))) THEN
      outcome := 'unexpanded';
    ELSIF EXISTS (SELECT FROM {{mark}}) OR EXISTS (SELECT FROM {{wide}}) THEN
      outcome := 'busy';
    ELSE
      outcome := 'idle';
    END IF;
  ELSIF v_slice.state = 'pending' AND {{filled_to}} IS NULL
        AND highwater.estimate_rows({{tag}}{{month_rows}}{{tag}}) <= {{small_month_rows}} THEN
    SELECT f.rows_added, f.rows_changed, f.rows_removed INTO rows_added, rows_changed, rows_removed
      FROM {{fill}}(v_slice.slice_start) AS f;
    outcome := 'filled';
  ELSE
    v_end := v_slice.slice_end;
    IF v_slice.state = 'pending' THEN
      -- What no part has come to is covered by the parts that come.
      v_end := coalesce({{filled_to}}, v_slice.slice_start);
      DELETE FROM {{mark}} AS m WHERE m.bucket >= v_end AND m.bucket < v_slice.slice_end;
      GET DIAGNOSTICS marks = ROW_COUNT;
      DELETE FROM {{wide}} AS w WHERE w.lo >= v_end AND w.hi <= v_slice.slice_end;
    END IF;
    outcome := 'discarded';
  END IF;
  IF v_end > v_slice.slice_start THEN
    outcome := 'drained';
    v_partition := highwater.partition_of({{target_literal}}, v_slice.slice_start);
    WITH claimed AS (
      DELETE FROM {{wide}} AS w WHERE w.split AND w.lo >= v_slice.slice_start AND w.hi <= v_slice.slice_end
      RETURNING w.lo, w.hi
    )
    SELECT min(c.lo), least(max(c.hi), v_end) INTO v_lo, v_hi FROM claimed AS c;
    IF v_lo IS NOT NULL THEN
      DELETE FROM {{mark}} AS m WHERE m.bucket >= v_lo AND m.bucket < v_hi;
      GET DIAGNOSTICS marks = ROW_COUNT;
      SELECT b.rows_added, b.rows_changed, b.rows_removed INTO rows_added, rows_changed, rows_removed
        FROM {{rebuild}}(v_slice.slice_start, v_lo, v_hi) AS b;
    ELSE
      -- Oldest marks first; what is chosen is computed in the order of time, in which events mostly lie, so that buckets
      -- which share pages come one after the other.
      SELECT {{claim_arrays}} INTO {{claim_into}} FROM (
        SELECT {{chosen_columns}} FROM (
          SELECT {{mark_columns_m}} FROM {{mark}} AS m
           WHERE m.bucket >= v_slice.slice_start AND m.bucket < v_end
           GROUP BY {{mark_columns_m}} HAVING {{may_be_claimed}} ORDER BY min(m.marked_at) LIMIT p_limit) AS chosen
         ORDER BY {{chosen_order}}) AS c;
      buckets := coalesce(cardinality(v_bucket), 0);
      -- Planned with the arrays in hand, so that their length is known.
      EXECUTE {{tag}}DELETE FROM {{mark}} AS m USING {{claimed}} WHERE {{mark_is_claimed}}{{tag}} USING {{claim_into}};
      GET DIAGNOSTICS marks = ROW_COUNT;
      IF marks < buckets THEN
        RAISE EXCEPTION 'claimed % buckets of rollup "%" and found % marks: the tenant was NOT NULL when it was installed and can be NULL now',
            buckets, {{name_literal}}, marks
          USING HINT = format('"highwater rollup drop %1$s", then add the definition again', {{name_literal}});
      END IF;
      EXECUTE {{tag}}
{{bucket_difference}}
      {{tag}} INTO rows_added, rows_changed, rows_removed USING {{claim_into}};
      UPDATE highwater.rollup_slice AS s
         SET rows = greatest(s.rows + rows_added - rows_removed, 0), drained_at = clock_timestamp()
       WHERE s.rollup = {{name_literal}} AND s.slice_start = v_slice.slice_start;
    END IF;
  END IF;
  oldest_left := {{watermark}}();
  is_abreast := buckets < p_limit AND NOT EXISTS (
    SELECT FROM {{mark}} AS m
     WHERE m.marked_at <= v_began AND (m.bucket < v_slice.slice_start OR m.bucket >= v_slice.slice_end));
END
{{quote}};

-- The window function: makes [p_from, p_to) of the rollup equal to its source, whatever was there, and returns the
-- rows it had to add, change or remove. Pending slices that the range touches are filled whole. Slices are locked in
-- order, so two windows never deadlock.
CREATE OR REPLACE FUNCTION {{window}}(p_from timestamptz, p_to timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = {{search_path}} SET TimeZone = 'UTC' SET row_security = off AS {{quote}}
DECLARE
  v_slice highwater.rollup_slice;
  v_lo timestamptz;
  v_hi timestamptz;
  v_changed record;
  v_rows bigint := 0;
BEGIN
  PERFORM highwater.assert_read_committed();
  PERFORM highwater.assert_on_grain({{name_literal}}, p_from, p_to, {{grain}});
{{assert_kept}}  PERFORM {{census}}(p_from, p_to);
  PERFORM {{expand}}();
  FOR v_slice IN
    SELECT s.* FROM highwater.rollup_slice AS s
     WHERE s.rollup = {{name_literal}} AND s.slice_start < p_to AND s.slice_end > p_from
     ORDER BY s.slice_start FOR UPDATE
  LOOP
    IF v_slice.state = 'pending' THEN
      v_rows := v_rows + (SELECT f.rows_added + f.rows_changed + f.rows_removed FROM {{fill}}(v_slice.slice_start) AS f);
    ELSE
      v_lo := greatest(p_from, v_slice.slice_start);
      v_hi := least(p_to, v_slice.slice_end);
      DELETE FROM {{mark}} AS m WHERE m.bucket >= v_lo AND m.bucket < v_hi;
      DELETE FROM {{wide}} AS w WHERE w.lo >= v_lo AND w.hi <= v_hi;
      SELECT b.rows_added, b.rows_changed, b.rows_removed INTO v_changed
        FROM {{rebuild}}(v_slice.slice_start, v_lo, v_hi) AS b;
      v_rows := v_rows + v_changed.rows_added + v_changed.rows_changed + v_changed.rows_removed;
    END IF;
  END LOOP;
  RETURN v_rows;
END
{{quote}};
