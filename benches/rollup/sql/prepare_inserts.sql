-- bench/prepare_inserts
-- What an application's driver prepares once: one event by its values, and the next hundred of made-up ones, whose
-- tenants are skewed as those of the histories are.
PREPARE one (text, text, timestamptz) AS
INSERT INTO bench.captured (event_id, tenant, occurred_at, runtime, agent, project, provider, model, task,
                            input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
VALUES ($1, $2, $3, 'runtime-1', 'agent-1', NULL, 'provider-1', 'model-1', 'task-1', 1, 2, 3, 4);
PREPARE hundred (bigint) AS
INSERT INTO bench.captured (event_id, tenant, occurred_at, runtime, agent, project, provider, model, task,
                            input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
SELECT 'event-' || each.id, 'tenant-' || lpad(floor(50 * power((hashint8extended(each.id, 1) & 1048575) / 1048576.0::float8, 2))::text, 3, '0'),
       timestamptz '2025-06-01 00:00:00+00' + each.id * interval '1 second', 'runtime-1', 'agent-1', NULL, 'provider-1', 'model-1',
       'task-1', 1, 2, 3, 4
  FROM generate_series($1, $1 + 99) AS each (id)
