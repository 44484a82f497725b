-- bench/stream
-- Events of many tenants, most of this hour and some of the last day.
INSERT INTO highwater.usage_event (event_id, tenant, occurred_at, runtime, agent, provider, model, input_tokens)
SELECT gen_random_uuid()::text, 'tenant' || number % 20, clock_timestamp() - CASE WHEN number % 10 = 0 THEN random() * interval '1 day' ELSE interval '0' END,
       'runtime', 'agent' || number % 5, 'provider', 'model' || number % 3, 1
  FROM generate_series(1, {{rows}}) AS number
