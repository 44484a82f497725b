-- rollup/capture_index
-- $1 text: source, qualified and quoted
-- $2 text: time column
-- $3 text: tenant column, NULL for none
-- An index that begins with these columns, and their names as the index tells them; no row without one.
SELECT index.indexrelid::int8 AS id,
       pg_catalog.pg_get_indexdef(index.indexrelid, 1, true) AS first,
       CASE WHEN $3::text IS NOT NULL THEN pg_catalog.pg_get_indexdef(index.indexrelid, 2, true) END AS second
  FROM pg_catalog.pg_index AS index
  JOIN pg_catalog.pg_attribute AS first ON first.attrelid = index.indrelid AND first.attnum = index.indkey[0]
  LEFT JOIN pg_catalog.pg_attribute AS second ON second.attrelid = index.indrelid AND second.attnum = index.indkey[1]
 WHERE index.indrelid = pg_catalog.to_regclass($1) AND index.indisvalid
   AND CASE WHEN $3::text IS NULL THEN first.attname = $2 ELSE first.attname = $3 AND second.attname = $2 END
 ORDER BY index.indexrelid
 LIMIT 1
