-- template/claim_own
-- $1 timestamptz: first instant of the batch
-- $2 timestamptz: last instant of the batch
-- Claims the marks of the buckets that a batch touched, its own among them; a later statement makes those buckets right.
-- The range comes back on the grain, with how many of the marks somebody else had made.
WITH batch AS MATERIALIZED (
  SELECT date_bin({{width}}, $1, {{origin}}) AS lo, date_bin({{width}}, $2, {{origin}}) + {{width}} AS hi
), claimed AS (
  DELETE FROM {{mark}} AS m USING batch
   WHERE m.bucket >= batch.lo AND m.bucket < batch.hi
  RETURNING m.xmin = pg_catalog.pg_current_xact_id()::xid AS is_own
)
SELECT batch.lo, batch.hi, (SELECT count(*) FROM claimed AS c WHERE NOT c.is_own) AS foreign_marks FROM batch
