-- bench/many_table
-- source, a number, is spliced in.
-- A small table of events, three months of fifty tenants.
DROP TABLE IF EXISTS bench.many_{{source}};
CREATE TABLE bench.many_{{source}} (tenant text NOT NULL, at timestamptz NOT NULL, key text, amount bigint);
INSERT INTO bench.many_{{source}}
SELECT 't' || event.id % 50, timestamptz '2025-01-01 00:00:00+00' + event.id * interval '400 seconds', 'k' || event.id % 7, event.id
  FROM generate_series(1, 20000) AS event (id);
CREATE INDEX ON bench.many_{{source}} (tenant, at);
CREATE INDEX ON bench.many_{{source}} (at);
ANALYZE bench.many_{{source}}
