-- template/read_function
-- The same for SQL: every key, and the measures that can be combined. Periods are named as template/read says.
CREATE OR REPLACE FUNCTION {{function}}(p_from timestamptz, p_to timestamptz, p_zone text, p_step text)
RETURNS TABLE (local_start timestamp{{returned}})
LANGUAGE sql STABLE STRICT SET search_path = {{search_path}} SET TimeZone = 'UTC' SET jit = off AS {{quote}}
{{read}}
{{quote}};
COMMENT ON FUNCTION {{function}} IS {{comment}};
