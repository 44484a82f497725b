-- bench/prepare_inserts
-- What an application's driver prepares once: one event by its values, and a hundred by arrays.
PREPARE one (text, text, timestamptz) AS
INSERT INTO bench.captured (event_id, tenant, occurred_at, runtime, agent, project, provider, model, task,
                            input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
VALUES ($1, $2, $3, 'runtime-1', 'agent-1', NULL, 'provider-1', 'model-1', 'task-1', 1, 2, 3, 4);
PREPARE hundred (bigint) AS
INSERT INTO bench.captured (event_id, tenant, occurred_at, runtime, agent, project, provider, model, task,
                            input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
SELECT 'event-' || each.id, 'tenant-' || lpad((each.id * 7 % 50)::text, 3, '0'),
       timestamptz '2025-06-01 00:00:00+00' + each.id * interval '1 second', 'runtime-1', 'agent-1', NULL, 'provider-1', 'model-1',
       'task-1', 1, 2, 3, 4
  FROM generate_series($1, $1 + 99) AS each (id)
