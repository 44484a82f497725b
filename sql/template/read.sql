-- template/read
-- $1 timestamptz: start of the range, inclusive
-- $2 timestamptz: end of the range, exclusive
-- $3 text: the viewer's zone
-- $4 text: hour, day, week or month
-- What of a rollup falls into each local period. A period is named by its first local time, as date_trunc gives it, so
-- that the hour that a clock runs through twice is one period.
WITH bucket AS MATERIALIZED (
  -- whole: all of it is in the range and in one period. The clock must not be moved within it: else it could leave its
  -- period and come back.
  SELECT b.at, first.local AS local_start,
         b.at >= $1 AND b.at + {{width}} <= $2 AND last.local = first.local
           AND last.time - first.time = {{width}} - interval '1 microsecond' AS is_whole
    FROM generate_series(date_bin({{width}}, $1, {{origin}}), $2 - interval '1 microsecond', {{width}}) AS b (at)
   CROSS JOIN LATERAL (SELECT b.at AT TIME ZONE $3, date_trunc($4, b.at AT TIME ZONE $3)) AS first (time, local)
   CROSS JOIN LATERAL (
     SELECT end_of.time, date_trunc($4, end_of.time)
       FROM (SELECT (b.at + {{width}} - interval '1 microsecond') AT TIME ZONE $3) AS end_of (time)) AS last (time, local)
), part AS (
  SELECT b.local_start{{t_columns}}
    FROM {{relation}} AS t
    JOIN bucket AS b ON b.at = t.bucket AND b.is_whole
   WHERE t.bucket >= $1 AND t.bucket < $2{{t_tenant}}
  UNION ALL
  -- buckets that lie in two periods, or partly outside the range: their rows of the source, grouped by period
  SELECT n.bucket AT TIME ZONE 'UTC'{{n_columns}}
    FROM {{cut_rows}} AS n
), combined AS (
  SELECT part.local_start{{group_columns}}{{combined}}
    FROM part{{grouping}}
)
SELECT c.local_start{{shown}}
  FROM combined AS c
 ORDER BY c.local_start{{order_columns}}
