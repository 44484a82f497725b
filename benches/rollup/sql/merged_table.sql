-- bench/merged_table
-- target is spliced in.
-- A copy of the rollup with its unique index.
CREATE TABLE bench.merged AS SELECT * FROM {{target}};
CREATE UNIQUE INDEX ON bench.merged (tenant, bucket, runtime, agent, project, provider, model) NULLS NOT DISTINCT
