-- bench/hot_stream
-- source, rows and round are spliced in.
-- New events of the same hour, each a statement of its own.
DO $$
BEGIN
  FOR number IN 1 .. {{rows}} LOOP
    INSERT INTO {{source}} (event_id, tenant, occurred_at, recorded_at, runtime, agent, project, provider, model, task,
                            input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
    VALUES ('stream-{{round}}-' || number, 'tenant-hot', '2025-06-01 12:30:00+00', now(), 'runtime-1', 'agent-1', NULL, 'provider-1',
            'model-1', 'task', 1, 2, 3, 4);
  END LOOP;
END
$$
