-- bench/many_differences
-- name and source are spliced in.
-- Rows that only one of rollup and source has.
WITH ours AS (
  SELECT tenant, bucket, key, amount, events FROM highwater.{{name}}
), truth AS (
  SELECT tenant, date_trunc('hour', at, 'UTC') AS bucket, key, sum(amount)::bigint AS amount, count(*) AS events
    FROM bench.many_{{source}} GROUP BY 1, 2, 3
)
SELECT count(*) AS differing
  FROM ((SELECT * FROM ours EXCEPT ALL SELECT * FROM truth) UNION ALL (SELECT * FROM truth EXCEPT ALL SELECT * FROM ours)) AS each
