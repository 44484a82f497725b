-- rollup/replaces
-- $1 text: name of a rollup that is being built
-- No row: there is no such rollup.
SELECT rollup.replaces, rollup.definition_sha256 FROM highwater.rollup AS rollup WHERE rollup.name = $1
