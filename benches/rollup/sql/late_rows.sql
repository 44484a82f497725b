-- bench/late_rows
-- source, days, rows and round are spliced in.
-- New events scattered over the whole history, for random tenants that are skewed as the others are.
INSERT INTO {{source}} (event_id, tenant, occurred_at, recorded_at, runtime, agent, project, provider, model, task,
                        input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
SELECT 'late-{{round}}-' || late.id, 'tenant-' || lpad(floor(50 * power(late.tenant, 2))::text, 3, '0'),
       timestamptz '2025-01-01 00:00:00+00' + late.part * interval '{{days}} days', now(),
       'runtime-1', 'agent-1', NULL, 'provider-1', 'model-1', 'task-late', 1, 2, 3, 4
  FROM (
    SELECT each.id,
           (hashint8extended(each.id, 100 + {{round}}) & 1048575) / 1048576.0::float8 AS part,
           (hashint8extended(each.id, 200 + {{round}}) & 1048575) / 1048576.0::float8 AS tenant
      FROM generate_series(1::bigint, {{rows}}) AS each (id)) AS late
