-- template/verify
-- $1 timestamptz start of the range, inclusive
-- $2 timestamptz end of the range, exclusive
-- Both ways: rows that the rollup lacks, has too many, or has with other measures. One statement, hence one snapshot;
-- what lies under an open mark is not drift, it is counted aside.
WITH new_row AS MATERIALIZED (
  {{new_rows}}
), old_row AS MATERIALIZED (
  {{old_rows}}
), difference AS MATERIALIZED (
  SELECT {{key_columns}},
         CASE WHEN o.bucket IS NULL THEN 'missing' WHEN n.bucket IS NULL THEN 'surplus' ELSE 'different' END AS highwater_kind,
         CASE WHEN o.bucket IS NOT NULL THEN {{old_measures}} END AS highwater_old,
         CASE WHEN n.bucket IS NOT NULL THEN {{new_measures}} END AS highwater_new
    FROM old_row AS o
    FULL JOIN new_row AS n ON {{same_key}}
   WHERE o.bucket IS NULL OR n.bucket IS NULL OR {{measures_differ}}
), open_mark AS MATERIALIZED (
  -- keys of watched tables that wait for their expansion mark what they touch
  SELECT DISTINCT {{mark_columns}} FROM {{dirty}} AS m
), judged AS MATERIALIZED (
  SELECT d.*,
         EXISTS (SELECT FROM open_mark AS m WHERE {{mark_is_open}})
      OR EXISTS (SELECT FROM {{wide}} AS w WHERE w.lo <= d.bucket AND w.hi > d.bucket)
      -- made pending since the slices were listed
      OR NOT EXISTS (SELECT FROM highwater.rollup_slice AS s
                      WHERE s.rollup = {{name_literal}} AND s.state = 'complete'
                        AND s.slice_start = date_trunc('month', d.bucket, 'UTC')) AS highwater_open
    FROM difference AS d
)
SELECT (SELECT count(*) FROM old_row) AS rows,
       (SELECT count(*) FROM judged AS d WHERE NOT d.highwater_open) AS drifted,
       (SELECT count(*) FROM judged AS d WHERE d.highwater_open) AS open,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', d.highwater_kind, 'key', {{key_object}}, 'rollup', d.highwater_old,
                                                     'source', d.highwater_new)), '[]')
          FROM (SELECT * FROM judged AS d WHERE NOT d.highwater_open ORDER BY d.bucket LIMIT 20) AS d) AS examples
