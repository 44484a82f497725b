-- demo/numbers
-- The last twelve months of the data by repository, read from the rollup alone.
WITH recent AS (
  SELECT hourly.*
    FROM highwater.activity_hourly AS hourly
   WHERE hourly.bucket >= (SELECT max(newest.bucket) - interval '12 months' FROM highwater.activity_hourly AS newest)
), busiest AS (
  SELECT DISTINCT ON (hour.repository) hour.repository, hour.bucket, hour.changes
    FROM (SELECT recent.repository, recent.bucket, sum(recent.changes)::bigint AS changes
            FROM recent GROUP BY recent.repository, recent.bucket) AS hour
   ORDER BY hour.repository, hour.changes DESC, hour.bucket
)
SELECT recent.repository, sum(recent.changes)::bigint AS changes, sum(recent.lines_added)::bigint AS lines_added,
       sum(recent.lines_deleted)::bigint AS lines_deleted, count(DISTINCT recent.author) AS authors,
       busiest.bucket AS busiest_hour, busiest.changes AS busiest_changes
  FROM recent
  JOIN busiest ON busiest.repository = recent.repository
 GROUP BY recent.repository, busiest.bucket, busiest.changes
 ORDER BY sum(recent.changes) DESC, recent.repository
 LIMIT 8
