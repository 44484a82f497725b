      WITH RECURSIVE month (at) AS (
        (SELECT date_trunc('month', {{instant}}, 'UTC') FROM {{source}} AS s
          WHERE {{at_or_after_from}} AND {{before_to}} ORDER BY s.{{time}} LIMIT 1)
        UNION ALL
        SELECT (SELECT date_trunc('month', {{instant}}, 'UTC') FROM {{source}} AS s
                 WHERE {{at_or_after_next_month}} AND {{before_to}} ORDER BY s.{{time}} LIMIT 1)
          FROM month WHERE month.at IS NOT NULL
      )
      INSERT INTO highwater.rollup_slice (rollup, slice_start, slice_end, state)
      SELECT {{name_literal}}, month.at, month.at + interval '1 month', 'pending' FROM month WHERE month.at IS NOT NULL
       ORDER BY month.at
          ON CONFLICT (rollup, slice_start) DO NOTHING
