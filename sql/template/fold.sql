-- template/fold
-- $1 timestamptz: where the last batch ended, or the start of the month; inclusive
-- $2 timestamptz: end of the month, exclusive
-- $3 boolean: whether to take about every second row only, so that the parts of one bucket have to be merged
-- Deletes one batch of raw events and adds exactly those to the baseline of every rollup over the source. Rows that a
-- writer has locked are left for a later run.
WITH victim AS MATERIALIZED (
  SELECT s.tableoid AS relation, s.ctid AS place
    FROM {{source}} AS s
   WHERE {{in_range}} AND (NOT $3 OR pg_catalog.hashtid(s.ctid) % 2 = 0)
   ORDER BY s.{{time}}
   LIMIT {{batch}}
     FOR UPDATE SKIP LOCKED
), gone AS (
  -- by an array of places, as in template/difference
  DELETE FROM {{source}} AS s
   WHERE s.ctid = ANY (ARRAY(SELECT v.place FROM victim AS v)) AND {{in_range}}{{of_relation}}
  RETURNING s.*
){{folds}}
SELECT (SELECT count(*) FROM victim) AS chosen, count(*) AS deleted, min({{instant}}) AS first_at, max({{instant}}) AS last_at
  FROM gone AS s
