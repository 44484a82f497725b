-- bench/text_table
-- table is spliced in.
-- The built-in source, without its indexes: they are built once the rows are in.
CREATE TABLE {{table}} (LIKE highwater.usage_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
