-- bench/trivial_plans
DELETE FROM highwater.job WHERE kind = 'sql';
DELETE FROM highwater.lease;
CREATE OR REPLACE FUNCTION bench.nothing() RETURNS void LANGUAGE sql AS 'SELECT';
INSERT INTO highwater.job (name, kind, function, cadence, overlap, paused_at)
VALUES ('trivial', 'sql', 'bench.nothing', '1 minute', 'allow', NULL);
INSERT INTO highwater.plan (job, scope, plan_time, state, exclusive, next_try_at)
SELECT 'trivial', '', at, 'due', false, at
  FROM (SELECT clock_timestamp() - (number + 1) * interval '1 minute' AS at
          FROM generate_series({{jobs}}::int8, 1, -1) AS number) AS times;
VACUUM ANALYZE highwater.plan
