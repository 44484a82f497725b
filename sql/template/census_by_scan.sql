      WITH day (at, rows) AS (
        -- date_bin is a tenth of the cost of date_trunc with a zone
        SELECT date_bin('1 day', {{instant}}, {{origin}}), count(*) FROM {{source}} AS s
         WHERE {{at_or_after_from}} AND {{before_to}} GROUP BY 1
      ), month (at, rows) AS (
        SELECT date_trunc('month', day.at, 'UTC'), sum(day.rows)::bigint FROM day GROUP BY 1
      )
      INSERT INTO highwater.rollup_slice (rollup, slice_start, slice_end, state, source_rows)
      SELECT {{name_literal}}, month.at, month.at + interval '1 month', 'pending', month.rows FROM month
       ORDER BY month.at
          ON CONFLICT (rollup, slice_start) DO NOTHING
