-- bench/integer_table
-- table is spliced in.
-- The same columns with integers for names, as a database with dimension tables has them.
CREATE TABLE {{table}} (
  event_id bigint NOT NULL,
  tenant integer NOT NULL,
  occurred_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  runtime integer NOT NULL,
  agent integer NOT NULL,
  project integer,
  provider integer NOT NULL,
  model integer NOT NULL,
  task integer,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  cache_read_tokens bigint NOT NULL,
  cache_write_tokens bigint NOT NULL
)
