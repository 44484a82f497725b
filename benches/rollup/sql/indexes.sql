-- bench/indexes
-- table is spliced in.
-- The three indexes of highwater.usage_event. ANALYZE ends it, as autovacuum would.
SET maintenance_work_mem = '512MB';
CREATE UNIQUE INDEX ON {{table}} (tenant, event_id);
CREATE INDEX ON {{table}} (tenant, occurred_at);
CREATE INDEX ON {{table}} USING brin (occurred_at);
RESET maintenance_work_mem;
VACUUM (FREEZE, ANALYZE) {{table}}
