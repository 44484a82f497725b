-- rollup/renderings
-- Which rendering of each rollup is installed. Only where the ledger records it.
SELECT rollup.name, rollup.definition, rollup.engine_sha256, rollup.capture_sha256, rollup.engine_build
  FROM highwater.rollup AS rollup
 ORDER BY rollup.name
