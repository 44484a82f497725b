-- template/tables
-- The target, partitioned by month, and the two append-only tables that writers leave their marks in.
-- The unique index is an index and not a constraint: a partition's own index, built beside the table, can then be
-- attached to it. Marks have no key at all: writers never wait for each other or for a drain.
CREATE TABLE {{target}} (
  {{columns}}
) PARTITION BY RANGE (bucket);
CREATE UNIQUE INDEX {{unique_index}} ON {{target}} ({{key_list}}) NULLS NOT DISTINCT;
COMMENT ON TABLE {{target}} IS {{target_comment}};

CREATE TABLE {{mark}} (
  {{mark_tenant_column}}bucket timestamptz NOT NULL,
  marked_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 2147483647);
COMMENT ON TABLE {{mark}} IS 'Append-only: this bucket of this tenant changed. Written by the writer''s own transaction, deleted by the drain or backfill that recomputed the bucket.';
COMMENT ON COLUMN {{mark}}.bucket IS 'Start of the bucket, on the grain, UTC.';
COMMENT ON COLUMN {{mark}}.marked_at IS 'Database clock when the change was made, before its commit.';

CREATE TABLE {{wide}} (
  lo timestamptz NOT NULL,
  hi timestamptz NOT NULL,
  split boolean NOT NULL DEFAULT false,
  recount boolean NOT NULL DEFAULT false,
  marked_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  CONSTRAINT {{wide_name}}_half_open CHECK (lo < hi)
);
COMMENT ON TABLE {{wide}} IS 'Append-only: everything in [lo, hi) may have changed (TRUNCATE, a marked range).';
COMMENT ON COLUMN {{wide}}.lo IS 'Start of the range, inclusive.';
COMMENT ON COLUMN {{wide}}.hi IS 'End of the range, exclusive.';
COMMENT ON COLUMN {{wide}}.split IS 'True once the range lies within one slice.';
COMMENT ON COLUMN {{wide}}.recount IS 'True where rows may have come to months that the ledger does not know: the expansion counts months first.';
COMMENT ON COLUMN {{wide}}.marked_at IS 'Database clock when the change was made, before its commit.';
