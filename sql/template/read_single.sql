  IF v_measure && {{single}}::text[] THEN
    -- Some measure cannot be put together: every answer has to come of one row of the rollup.
    IF NOT v_by @> {{keys}}::text[]{{or_tenant}} THEN
      RAISE EXCEPTION 'measures of rollup "%" would be put together that cannot be: %', {{name_literal}}, array_to_string({{single}}::text[], ', ')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'group by every column of the key, or name other measures in p_measure';
    END IF;
    EXECUTE {{tag}}
{{shared}}
    {{tag}} INTO v_shared USING p_from, p_to, p_zone, p_step;
    IF v_shared IS NOT NULL THEN
      RAISE EXCEPTION 'measures of rollup "%" would be put together that cannot be: % (the % from % in % holds several buckets)',
          {{name_literal}}, array_to_string({{single}}::text[], ', '), p_step, v_shared, p_zone
        USING ERRCODE = 'invalid_parameter_value', HINT = 'read by a step and zone in which a period is one bucket, or name other measures in p_measure';
    END IF;
    RETURN QUERY EXECUTE {{tag}}
{{read}}
    {{tag}} USING p_from, p_to, p_zone, p_step, p_tenant, v_by, v_measure;
    RETURN;
  END IF;
