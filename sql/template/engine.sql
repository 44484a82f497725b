-- template/engine
-- Which rendering is installed, so that a newer highwater knows that its own is another.
UPDATE highwater.rollup AS r
   SET engine_sha256 = {{engine_sha256}}, capture_sha256 = {{capture_sha256}}, engine_build = {{build}}, rendered_at = clock_timestamp()
 WHERE r.name = {{name_literal}};
