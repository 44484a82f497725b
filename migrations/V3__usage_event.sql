-- Usage events: the source of the built-in rollup usage_hourly.

CREATE TABLE highwater.usage_event (
  event_id text COLLATE "C" NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  occurred_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  runtime text COLLATE "C" NOT NULL,
  agent text COLLATE "C" NOT NULL,
  project text COLLATE "C",
  provider text COLLATE "C" NOT NULL,
  model text COLLATE "C" NOT NULL,
  task text COLLATE "C",
  input_tokens bigint NOT NULL DEFAULT 0 CONSTRAINT usage_event_input_tokens_are_counted CHECK (input_tokens >= 0),
  output_tokens bigint NOT NULL DEFAULT 0 CONSTRAINT usage_event_output_tokens_are_counted CHECK (output_tokens >= 0),
  cache_read_tokens bigint NOT NULL DEFAULT 0 CONSTRAINT usage_event_cache_read_tokens_are_counted CHECK (cache_read_tokens >= 0),
  cache_write_tokens bigint NOT NULL DEFAULT 0 CONSTRAINT usage_event_cache_write_tokens_are_counted CHECK (cache_write_tokens >= 0),
  PRIMARY KEY (tenant, event_id)
);
-- For drains: one bucket of one tenant.
CREATE INDEX usage_event_tenant_occurred_at ON highwater.usage_event (tenant, occurred_at);
-- For backfills: one month. Events arrive nearly in time order, so that a few kilobytes of BRIN do.
CREATE INDEX usage_event_occurred_at_brin ON highwater.usage_event USING brin (occurred_at);

COMMENT ON TABLE highwater.usage_event IS 'One use of a model by a task; late and corrected events are normal.';
COMMENT ON COLUMN highwater.usage_event.event_id IS 'Chosen by the reporter, unique per tenant, so that a repeated report is harmless.';
COMMENT ON COLUMN highwater.usage_event.tenant IS 'Unit of isolation; first in every key.';
COMMENT ON COLUMN highwater.usage_event.occurred_at IS 'Event time: decides the bucket.';
COMMENT ON COLUMN highwater.usage_event.recorded_at IS 'Database clock when the event arrived.';
COMMENT ON COLUMN highwater.usage_event.runtime IS 'What the agent ran on.';
COMMENT ON COLUMN highwater.usage_event.agent IS 'Who spent the tokens.';
COMMENT ON COLUMN highwater.usage_event.project IS 'What for; NULL when the task belongs to no project.';
COMMENT ON COLUMN highwater.usage_event.provider IS 'Who served the model.';
COMMENT ON COLUMN highwater.usage_event.model IS 'Which model.';
COMMENT ON COLUMN highwater.usage_event.task IS 'The task that the use belongs to.';
COMMENT ON COLUMN highwater.usage_event.input_tokens IS 'Tokens read.';
COMMENT ON COLUMN highwater.usage_event.output_tokens IS 'Tokens written.';
COMMENT ON COLUMN highwater.usage_event.cache_read_tokens IS 'Tokens served from a prompt cache.';
COMMENT ON COLUMN highwater.usage_event.cache_write_tokens IS 'Tokens written to a prompt cache.';
