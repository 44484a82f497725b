
CREATE TABLE {{watch}} (
  watch integer NOT NULL,
  {{key_columns}}marked_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 2147483647);
COMMENT ON TABLE {{watch}} IS 'Append-only: this key of a watched table changed. The expansion finds its buckets later, in a snapshot younger than its claim.';
COMMENT ON COLUMN {{watch}}.watch IS 'Which watched table, in the definition''s order, from 1; its key is in the column of that number.';
COMMENT ON COLUMN {{watch}}.marked_at IS 'Database clock when the change was made, before its commit.';
{{key_comments}}
