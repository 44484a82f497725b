-- template/explain
-- $1 timestamptz: start of the bucket; $2… text: tenant and key, without those that are NULL
-- Everything that is known of one row, but for the source's rows: no row where nothing is known.
SELECT (SELECT to_jsonb(t) FROM {{target}} AS t WHERE t.bucket = $1{{t_is_it}}) AS stored,
       (SELECT to_jsonb(l) FROM {{live}} AS l WHERE l.bucket = $1{{l_is_it}}) AS live,
       (SELECT to_jsonb(n) FROM (SELECT {{claimed}}) AS c CROSS JOIN LATERAL (
{{bucket_rows}}
        ) AS n WHERE n.bucket = $1{{n_is_it}}) AS counted,
       {{baseline}} AS baseline,
       (SELECT to_jsonb(s) - 'rollup' FROM highwater.rollup_slice AS s
         WHERE s.rollup = {{name_literal}} AND s.slice_start = date_trunc('month', $1, 'UTC')) AS slice,
       mark.marks, mark.oldest_mark_at, wide.ranges, wide.oldest_range_at,
       -- a key of a watched table that waits for its expansion touches the bucket
       mark.marks = 0 AND EXISTS (SELECT FROM {{dirty}} AS m WHERE m.bucket = $1{{m_is_it}}) AS has_waiting_key,
       rollup.watermark_at, rollup.drained_at, rollup.census_at IS NOT NULL AS is_counted
  FROM highwater.rollup AS rollup
 CROSS JOIN (SELECT count(*) AS marks, min(m.marked_at) AS oldest_mark_at
               FROM {{mark}} AS m WHERE m.bucket = $1{{m_is_it}}) AS mark
 CROSS JOIN (SELECT count(*) AS ranges, min(w.marked_at) AS oldest_range_at
               FROM {{wide}} AS w WHERE w.lo < $1 + {{width}} AND w.hi > $1) AS wide
 WHERE rollup.name = {{name_literal}}
