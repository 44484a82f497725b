      WITH RECURSIVE tenant (id) AS (
        (SELECT s.{{tenant}} FROM {{source}} AS s ORDER BY s.{{tenant}} LIMIT 1)
        UNION ALL
        SELECT (SELECT s.{{tenant}} FROM {{source}} AS s WHERE s.{{tenant}} > tenant.id ORDER BY s.{{tenant}} LIMIT 1)
          FROM tenant WHERE tenant.id IS NOT NULL
      ), month (at) AS (
        SELECT date_trunc('month', min(first.at), 'UTC') FROM tenant CROSS JOIN LATERAL (
          SELECT {{instant}} AS at FROM {{source}} AS s
           WHERE s.{{tenant}} = tenant.id AND {{at_or_after_from}} AND {{before_to}} ORDER BY s.{{time}} LIMIT 1) AS first
        UNION ALL
        SELECT coalesce(
                 -- nearly always the next month has rows, and one of the first tenants shows it; ordered, because
                 -- without an order the planner hopes to find one soon in a scan
                 (SELECT month.at + interval '1 month' FROM tenant CROSS JOIN LATERAL (
                    SELECT FROM {{source}} AS s
                     WHERE s.{{tenant}} = tenant.id AND {{at_or_after_next_month}} AND {{before_month_after}} AND {{before_to}}
                     ORDER BY s.{{time}} LIMIT 1) AS found LIMIT 1),
                 (SELECT date_trunc('month', min(first.at), 'UTC') FROM tenant CROSS JOIN LATERAL (
                    SELECT {{instant}} AS at FROM {{source}} AS s
                     WHERE s.{{tenant}} = tenant.id AND {{at_or_after_next_month}} AND {{before_to}}
                     ORDER BY s.{{time}} LIMIT 1) AS first))
          FROM month WHERE month.at IS NOT NULL
      )
      INSERT INTO highwater.rollup_slice (rollup, slice_start, slice_end, state)
      SELECT {{name_literal}}, month.at, month.at + interval '1 month', 'pending' FROM month WHERE month.at IS NOT NULL
       ORDER BY month.at
          ON CONFLICT (rollup, slice_start) DO NOTHING
