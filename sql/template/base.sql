
-- template/base
-- What the raw events that were pruned came to. A value of a sealed month is this merged with what the source still holds.
-- Nothing but a prune writes here, and it adds exactly what it deletes in the same statement.
CREATE TABLE {{base}} (LIKE {{target}});
CREATE UNIQUE INDEX {{base_index}} ON {{base}} ({{base_key}}) NULLS NOT DISTINCT;
COMMENT ON TABLE {{base}} IS 'Baseline: what pruned raw events came to, in the columns of the rollup. The only copy of those values.';
