-- bench/bound_b_table
-- target is spliced in.
-- What bound B inserts into: the rollup's columns and its unique index, in one table.
CREATE TABLE bench.bound (LIKE {{target}});
CREATE UNIQUE INDEX ON bench.bound (tenant, bucket, runtime, agent, project, provider, model) NULLS NOT DISTINCT
