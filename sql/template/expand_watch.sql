  WITH waiting AS (
    SELECT w.ctid AS place FROM {{watch}} AS w WHERE w.watch = {{ordinal}} LIMIT {{limit}} FOR UPDATE
  ), claimed AS (
    DELETE FROM {{watch}} AS w WHERE w.ctid = ANY (ARRAY(SELECT waiting.place FROM waiting)) RETURNING w.{{key}}, w.marked_at
  )
  SELECT array_agg(DISTINCT c.{{key}}), min(c.marked_at) INTO v_{{key}}, v_marked_at FROM claimed AS c;
  -- A later statement, hence a younger snapshot: an event that was inserted and not committed when the key was changed
  -- is seen now, or leaves a mark of its own.
  IF v_{{key}} IS NOT NULL THEN
    EXECUTE {{tag}}
      INSERT INTO {{mark}} ({{mark_columns}}, marked_at)
      SELECT DISTINCT each.*, $2 FROM (
{{affected}}
      ) AS each
    {{tag}} USING v_{{key}}, v_marked_at;
  END IF;
