-- bench/merge
-- source, round and query are spliced in.
-- What late events come to, added to a table that has the rows already: the least that a table of sums has to write.
INSERT INTO bench.merged AS old
WITH source AS (
  SELECT event.*, date_bin('1 hour', event.occurred_at, timestamptz '2000-01-01 00:00:00+00') AS bucket
    FROM {{source}} AS event WHERE event.event_id LIKE 'late-{{round}}-%'
)
{{query}}
ON CONFLICT (tenant, bucket, runtime, agent, project, provider, model) DO UPDATE
   SET input_tokens = old.input_tokens + excluded.input_tokens, output_tokens = old.output_tokens + excluded.output_tokens,
       cache_read_tokens = old.cache_read_tokens + excluded.cache_read_tokens,
       cache_write_tokens = old.cache_write_tokens + excluded.cache_write_tokens,
       event_count = old.event_count + excluded.event_count
