-- template/forecast
-- $1 text: name
-- $2 timestamptz: start of the range, inclusive; NULL for the beginning
-- $3 timestamptz: end of the range, exclusive; NULL for the end
-- $4 boolean: whether complete slices would be rebuilt too
-- Size of the work that is left. Before the census the planner's guess over the whole source stands in. The size on
-- disk is scaled from what is filled, else the planner's guess of the groups, which is on the high side.
-- Of a source that was never analyzed the planner knows nothing: then the size is NULL, until a backfill has counted.
WITH rollup AS (
  SELECT r.census_at IS NOT NULL AS is_counted FROM highwater.rollup AS r WHERE r.name = $1
), slice AS (
  SELECT count(*) AS slices,
         coalesce(sum(coalesce(s.source_rows, highwater.estimate_rows({{tag}}{{month_rows}}{{tag}}))), 0)::bigint AS source_rows
    FROM highwater.rollup_slice AS s
   WHERE s.rollup = $1 AND (s.state = 'pending' OR $4)
     AND ($2::timestamptz IS NULL OR s.slice_end > $2)
     AND ($3::timestamptz IS NULL OR s.slice_start < $3)
), left_over AS (
  SELECT slice.slices,
         CASE WHEN rollup.is_counted THEN slice.source_rows
              ELSE highwater.estimate_rows({{tag}}{{range_rows}}{{tag}}) END AS source_rows
    FROM slice CROSS JOIN rollup
), known AS (
  SELECT rollup.is_counted OR class.reltuples >= 0 AS is_known
    FROM rollup CROSS JOIN pg_catalog.pg_class AS class WHERE class.oid = {{source_literal}}::regclass
), filled AS (
  SELECT sum(s.source_rows) AS source_rows FROM highwater.rollup_slice AS s
   WHERE s.rollup = $1 AND s.state = 'complete'
), size AS (
  SELECT sum(pg_catalog.pg_total_relation_size(tree.relid)) AS bytes
    FROM pg_catalog.pg_partition_tree({{target_text}}::regclass) AS tree WHERE tree.isleaf
)
SELECT left_over.slices, CASE WHEN known.is_known THEN left_over.source_rows END AS source_rows,
       CASE WHEN NOT known.is_known THEN NULL WHEN filled.source_rows > 0 AND size.bytes > 0
            THEN (size.bytes * left_over.source_rows / filled.source_rows)::bigint
            ELSE highwater.estimate_bytes({{tag}}{{range_groups}}{{tag}}) END AS disk_bytes
  FROM left_over CROSS JOIN filled CROSS JOIN size CROSS JOIN known
