-- rollup/lock_rollups
-- $1 text[]: names
-- After their slices, as a drain takes them.
SELECT rollup.name, rollup.definition_sha256 FROM highwater.rollup AS rollup
 WHERE rollup.name = ANY ($1) ORDER BY rollup.name FOR UPDATE
