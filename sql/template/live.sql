-- template/live
-- What is open beyond single buckets: months that are not filled, marked ranges, and before the census every month that
-- the ledger does not know. Never NULL; empty when nothing is.
CREATE OR REPLACE VIEW {{open}} AS
SELECT coalesce(range_agg(each.span), '{}'){{that_is_kept}} AS spans FROM (
  SELECT tstzrange(w.lo, w.hi) AS span FROM {{wide}} AS w
  UNION ALL
  SELECT tstzrange(s.slice_start, s.slice_end) FROM highwater.rollup_slice AS s
   WHERE s.rollup = {{name_literal}} AND s.state <> 'complete'
  UNION ALL
  SELECT unnest(tstzmultirange(tstzrange(NULL, NULL)) - coalesce(
           (SELECT range_agg(tstzrange(s.slice_start, s.slice_end)) FROM highwater.rollup_slice AS s
             WHERE s.rollup = {{name_literal}}), '{}'))
    FROM highwater.rollup AS r WHERE r.name = {{name_literal}} AND r.census_at IS NULL) AS each;
COMMENT ON VIEW {{open}} IS {{open_comment}};

-- The rollup as it would be if everything that has happened were drained: rows of the table where they are right, the
-- definition's query over the source where they may not be. One statement, hence one snapshot, and it sees what its own
-- transaction has written. Of the four branches a clean rollup executes the first alone; but the planner adds up the
-- costs of all, and where the sum is high it compiles the statement, which takes seconds. Hence the comparisons of
-- integers in the last two: the planner takes them for one row in 200.
CREATE OR REPLACE VIEW {{live}} AS
-- 1. Nothing is open: the table as it is. The condition holds no column, so it is asked once and not once a row.
SELECT {{table_columns}}
  FROM {{target}} AS t
 WHERE NOT {{is_marked}} AND isempty({{spans}})
UNION ALL
-- 2. Something is open: the table without it. The marks are hashed, and once: a condition on the table alone would
-- be asked, and the marks hashed, in every partition by itself. A join with the marks would be planned as a merge with
-- the whole table sorted, since marks come and go too fast to be analyzed.
SELECT {{table_columns}}
  FROM {{target}} AS t
 CROSS JOIN (SELECT interval '0' AS nothing OFFSET 0) AS once
 WHERE ({{is_marked}} OR NOT isempty({{spans}}))
   AND NOT t.bucket <@ {{spans}}
   AND NOT ({{row_mark}} + once.nothing) IN (SELECT {{mark_key}} FROM {{dirty}} AS m WHERE {{looks_rare}})
UNION ALL
-- 3. Marked buckets, each computed once from its own rows of the source; in the order of time, in which those mostly lie,
-- so that buckets which share pages come one after the other.
SELECT {{marked_columns}}
  FROM (SELECT {{mark_columns}} FROM {{dirty}} AS m GROUP BY {{mark_columns}} ORDER BY {{mark_order}}) AS c
 CROSS JOIN LATERAL (
{{bucket_rows}}
       ) AS n
 WHERE (c.bucket <@ {{spans}})::integer = 0 AND {{c_looks_rare}}{{and_is_kept}}
UNION ALL
-- 4. Open spans, each computed as a whole.
SELECT {{new_columns}}
  FROM unnest({{spans}}) AS open (span)
 CROSS JOIN LATERAL (
{{span_rows}}
       ) AS n
 WHERE isempty(open.span)::integer = 0;
COMMENT ON VIEW {{live}} IS {{live_comment}};
