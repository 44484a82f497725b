  -- Changes of months that were dropped are counted aside: half a month is worse than none.
  WITH aside AS (
    DELETE FROM {{mark}} AS m USING highwater.rollup AS r
     WHERE r.name = {{name_literal}} AND m.bucket < r.dropped_before
    RETURNING 1
  ), counted AS (
    SELECT count(*) AS marks FROM aside
  )
  UPDATE highwater.rollup AS r SET aside_marks = r.aside_marks + counted.marks, aside_at = clock_timestamp()
    FROM counted WHERE r.name = {{name_literal}} AND counted.marks > 0;
