-- bench/lag
SELECT extract(epoch FROM clock_timestamp() - rollup.watermark_at)::float8 AS seconds
  FROM highwater.rollup AS rollup
 WHERE rollup.name = 'usage_hourly'
