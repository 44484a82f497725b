-- rollup/bare_relations
-- $1 text: source, qualified and quoted
-- How many relations of a source lack a capture trigger or have one disabled.
SELECT count(*) AS bare FROM highwater.bare_relations($1)
