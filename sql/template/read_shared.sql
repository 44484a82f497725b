-- template/read_shared
-- $1 timestamptz: start of the range, inclusive
-- $2 timestamptz: end of the range, exclusive
-- $3 text: the viewer's zone
-- $4 text: hour, day, week or month
-- The first local period that holds more than one bucket, or parts of them; NULL when each comes of one alone. Buckets are
-- gone through by quarters of an hour, since a clock that is moved within one may show a period twice.
SELECT min(shared.local) AS period
  FROM (
    SELECT touched.local
      FROM generate_series(date_bin({{width}}, $1, {{origin}}), $2 - interval '1 microsecond', {{width}}) AS b (at)
     CROSS JOIN LATERAL (
       SELECT DISTINCT date_trunc($4, moment.at AT TIME ZONE $3)
         FROM generate_series(b.at, b.at + {{width}} - interval '15 minutes', interval '15 minutes') AS quarter (at)
        CROSS JOIN LATERAL (
          VALUES (greatest(quarter.at, $1)),
                 (least(quarter.at + interval '15 minutes' - interval '1 microsecond', $2 - interval '1 microsecond'))
        ) AS moment (at)
        WHERE quarter.at < $2 AND quarter.at + interval '15 minutes' > $1
     ) AS touched (local)
     GROUP BY touched.local HAVING count(*) > 1
  ) AS shared
