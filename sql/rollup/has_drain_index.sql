-- rollup/has_drain_index
-- $1 text: qualified, quoted table
-- $2 text: time column
-- $3 text: tenant column, NULL for none
-- Whether a valid, complete btree index begins with (tenant, time) or (time), so that a drain can find one bucket.
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_index AS index
    JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
    JOIN pg_catalog.pg_am AS am ON am.oid = class.relam
    LEFT JOIN pg_catalog.pg_attribute AS first ON first.attrelid = index.indrelid AND first.attnum = index.indkey[0]
    LEFT JOIN pg_catalog.pg_attribute AS second ON second.attrelid = index.indrelid AND second.attnum = index.indkey[1]
   WHERE index.indrelid = pg_catalog.to_regclass($1) AND index.indisvalid AND index.indpred IS NULL
     AND am.amname = 'btree'
     AND (first.attname = $2 OR (first.attname = $3 AND second.attname = $2 AND index.indnkeyatts >= 2))
) AS found
