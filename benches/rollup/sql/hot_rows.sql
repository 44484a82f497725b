-- bench/hot_rows
-- source and rows are spliced in.
-- Events of one tenant and one hour.
INSERT INTO {{source}} (event_id, tenant, occurred_at, recorded_at, runtime, agent, project, provider, model, task,
                        input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
SELECT 'hot-' || each.id, 'tenant-hot', timestamptz '2025-06-01 12:00:00+00' + (each.id % 3600) * interval '1 second', now(),
       'runtime-' || each.id % 4, 'agent-' || each.id % 8, NULL, 'provider-1', 'model-' || each.id % 3, 'task', 1, 2, 3, 4
  FROM generate_series(1::bigint, {{rows}}) AS each (id)
