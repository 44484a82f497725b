SELECT each.month, min(each.marked_at) AS oldest FROM (
        SELECT date_trunc('month', m.bucket, 'UTC') AS month, m.marked_at FROM {{mark}} AS m
        UNION ALL
        SELECT date_trunc('month', w.lo, 'UTC'), w.marked_at FROM {{wide}} AS w WHERE w.split
      ) AS each GROUP BY each.month
