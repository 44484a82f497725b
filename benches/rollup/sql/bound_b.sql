-- bench/bound_b
-- source and query are spliced in.
-- Bound B: the whole rollup in one statement, into a table with its unique index.
INSERT INTO bench.bound
WITH source AS (
  SELECT event.*, date_bin('1 hour', event.occurred_at, timestamptz '2000-01-01 00:00:00+00') AS bucket
    FROM {{source}} AS event
)
{{query}}
