-- template/drop_functions
-- Whatever parameters they have: another version may have rendered them.
DO {{quote}}
DECLARE
  v_function regprocedure;
BEGIN
  FOR v_function IN
    SELECT procedure.oid FROM pg_catalog.pg_proc AS procedure
     WHERE procedure.pronamespace = 'highwater'::regnamespace AND procedure.proname = ANY ({{names}})
  LOOP
    EXECUTE 'DROP FUNCTION ' || v_function;
  END LOOP;
END
{{quote}};
