-- rollup/remember_relations
-- $1 text: name
-- Takes the present tables of a rollup for known.
SELECT highwater.remember_relations($1)
