SELECT date_trunc('month', each.bucket, 'UTC') AS month, min(each.oldest) AS oldest FROM (
        -- by bucket first: date_trunc with a zone costs ten times as much as anything else here
        SELECT m.bucket, min(m.marked_at) AS oldest FROM {{mark}} AS m GROUP BY {{mark_columns_m}} HAVING {{may_be_claimed}}
        UNION ALL
        SELECT w.lo, w.marked_at FROM {{wide}} AS w WHERE w.split
      ) AS each GROUP BY 1
