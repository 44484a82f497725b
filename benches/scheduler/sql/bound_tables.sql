-- bench/bound_tables
-- The least that a queue with leases and tokens needs.
DROP TABLE IF EXISTS bench.plan, bench.lease;
CREATE TABLE bench.plan (run_id bigint PRIMARY KEY, due_at timestamptz NOT NULL, state smallint NOT NULL DEFAULT 0, token bigint NOT NULL DEFAULT 0)
  WITH (fillfactor = 85);
CREATE INDEX ON bench.plan (due_at, run_id) WHERE state = 0;
CREATE TABLE bench.lease (run_id bigint PRIMARY KEY, token bigint NOT NULL, worker uuid NOT NULL, lease_until timestamptz NOT NULL)
  WITH (fillfactor = 50);
INSERT INTO bench.plan (run_id, due_at)
SELECT number, clock_timestamp() - ({{jobs}} - number + 1) * interval '1 second' FROM generate_series(1, {{jobs}}::int8) AS number;
VACUUM ANALYZE bench.plan
