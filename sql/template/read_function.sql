-- template/read_function
-- The same for SQL. p_by: columns of tenant and key to group by, all when NULL; the others come as NULL. p_measure: those
-- wanted, all when NULL; the others come as NULL. p_tenant: that one alone. Periods are named as template/read says.
CREATE OR REPLACE FUNCTION {{function}}(p_from timestamptz, p_to timestamptz, p_zone text, p_step text,
  p_by text[] DEFAULT NULL, p_measure text[] DEFAULT NULL, p_tenant text DEFAULT NULL)
RETURNS TABLE (local_start timestamp{{returned}})
LANGUAGE plpgsql STABLE SET search_path = {{search_path}} SET TimeZone = 'UTC' SET jit = off AS {{quote}}
DECLARE
  v_by text[] := coalesce(p_by, {{by}}::text[]);
  v_measure text[] := coalesce(p_measure, {{measures}}::text[]);
  v_unknown text;
  v_shared timestamp;
BEGIN
  IF p_step NOT IN ('hour', 'day', 'week', 'month') THEN
    RAISE EXCEPTION 'unknown step "%"; it is hour, day, week or month', p_step USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT min(name.name) INTO v_unknown FROM unnest(v_by) AS name (name) WHERE name.name <> ALL ({{by}}::text[]);
  IF v_unknown IS NOT NULL THEN
    RAISE EXCEPTION 'rollup "%" has no key column "%"; it has %', {{name_literal}}, v_unknown, array_to_string({{by}}::text[], ', ')
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT min(name.name) INTO v_unknown FROM unnest(v_measure) AS name (name) WHERE name.name <> ALL ({{measures}}::text[]);
  IF v_unknown IS NOT NULL THEN
    RAISE EXCEPTION 'rollup "%" has no measure "%"; it has %', {{name_literal}}, v_unknown, array_to_string({{measures}}::text[], ', ')
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
{{read_single}}  RETURN QUERY EXECUTE {{tag}}
{{read}}
  {{tag}} USING p_from, p_to, p_zone, p_step, p_tenant, v_by, v_measure;
END
{{quote}};
COMMENT ON FUNCTION {{function}} IS {{comment}};
