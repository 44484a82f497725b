-- rollup/definitions_over
-- $1 text: source, as highwater.rollup names it
-- Definitions of every rollup over one source, for its capture function.
SELECT rollup.definition FROM highwater.rollup AS rollup WHERE rollup.source = $1 ORDER BY rollup.name
