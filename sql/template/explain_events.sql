-- template/explain_events
-- $1 timestamptz: start of the bucket; $2… text: tenant and key, without those that are NULL; then, to go on, the time, table
-- and place of the last event seen, text, bigint and text
-- Rows of the source that the query counts under this key, in order of their time. The query is asked of each row alone, so
-- that it says where the row belongs, joined tables included, and what it adds.
SELECT to_jsonb(s) AS event, to_jsonb(n){{without_key}} AS adds,
       s.{{time}}::text AS last_time, s.tableoid::bigint AS last_table, s.ctid::text AS last_place
  FROM {{source}} AS s
 CROSS JOIN LATERAL (
   WITH source AS (SELECT {{source_columns}}, $1 AS bucket)
   SELECT q.* FROM (
{{query}}
   ) AS q
 ) AS n
 WHERE {{in_bucket}}{{s_is_tenant}}{{n_is_it}}{{after}}
 ORDER BY s.{{time}}, s.tableoid, s.ctid
 LIMIT {{limit}}
