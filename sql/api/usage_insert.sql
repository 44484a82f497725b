-- api/usage_insert
-- $1 text: tenant
-- $2 text[]: event ids
-- $3 timestamptz[]: event times
-- $4 text[]: runtimes
-- $5 text[]: agents
-- $6 text[]: projects; an element may be NULL
-- $7 text[]: providers
-- $8 text[]: models
-- $9 text[]: tasks; an element may be NULL
-- $10 int8[]: input tokens
-- $11 int8[]: output tokens
-- $12 int8[]: tokens read from a cache
-- $13 int8[]: tokens written to a cache
-- How many of the events were new; the others were there, or stand in the same request twice.
WITH added AS (
  INSERT INTO highwater.usage_event
         (tenant, event_id, occurred_at, runtime, agent, project, provider, model, task,
          input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
  SELECT $1, event.event_id, event.occurred_at, event.runtime, event.agent, event.project, event.provider, event.model,
         event.task, event.input_tokens, event.output_tokens, event.cache_read_tokens, event.cache_write_tokens
    FROM unnest($2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                $10::int8[], $11::int8[], $12::int8[], $13::int8[])
      AS event (event_id, occurred_at, runtime, agent, project, provider, model, task,
                input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
      ON CONFLICT (tenant, event_id) DO NOTHING
  RETURNING 1
)
SELECT count(*) AS added FROM added
