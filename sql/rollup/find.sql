-- rollup/find
-- $1 text: name
-- No row: there is no such rollup.
SELECT rollup.definition, rollup.definition_sha256, rollup.source, rollup.target, rollup.capture_function
  FROM highwater.rollup AS rollup
 WHERE rollup.name = $1
