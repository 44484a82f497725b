-- rollup/names
-- Names of all installed rollups.
SELECT rollup.name FROM highwater.rollup AS rollup ORDER BY rollup.name
