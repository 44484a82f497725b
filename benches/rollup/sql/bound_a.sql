-- bench/bound_a
-- source and query are spliced in.
-- Bound A: the whole rollup in one statement, without an index.
CREATE TABLE bench.bound AS
WITH source AS (
  SELECT event.*, date_bin('1 hour', event.occurred_at, timestamptz '2000-01-01 00:00:00+00') AS bucket
    FROM {{source}} AS event
)
{{query}}
