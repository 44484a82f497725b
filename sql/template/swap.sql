-- template/swap
-- The tables of the rollup that was built beside take the names of the one that is gone, and its ledger its place.
DO {{quote}}
DECLARE
  v_table record;
  v_index record;
BEGIN
  FOR v_table IN
    -- the months, then the target itself, then what else belongs to the rollup
    SELECT namespace.nspname AS schema, class.relname AS old,
           {{target_table}} || substr(class.relname, length({{next_table}}) + 1) AS new
      FROM pg_catalog.pg_partition_tree({{next_target}}::regclass) AS tree
      JOIN pg_catalog.pg_class AS class ON class.oid = tree.relid
      JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
     WHERE starts_with(class.relname, {{next_table}})
    UNION ALL
    SELECT 'highwater', class.relname, {{name_literal}} || substr(class.relname, length({{next_literal}}) + 1)
      FROM pg_catalog.pg_class AS class
     WHERE class.relnamespace = 'highwater'::regnamespace AND class.relkind IN ('r', 'p') AND NOT class.relispartition
       AND starts_with(class.relname, {{next_literal}} || '_') AND class.oid <> {{next_target}}::regclass
  LOOP
    FOR v_index IN
      SELECT class.relname AS old, v_table.new || substr(class.relname, length(v_table.old) + 1) AS new
        FROM pg_catalog.pg_index AS index JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
       WHERE index.indrelid = format('%I.%I', v_table.schema, v_table.old)::regclass
         AND starts_with(class.relname, v_table.old || '_')
    LOOP
      -- two long names may have been cut to the same: then it keeps its own
      IF to_regclass(format('%I.%I', v_table.schema, v_index.new)) IS NULL THEN
        EXECUTE format('ALTER INDEX %I.%I RENAME TO %I', v_table.schema, v_index.old, v_index.new);
      END IF;
    END LOOP;
    EXECUTE format('ALTER TABLE %I.%I RENAME TO %I', v_table.schema, v_table.old, v_table.new);
  END LOOP;
END
{{quote}};
DELETE FROM highwater.rollup_slice AS slice WHERE slice.rollup = {{name_literal}};
UPDATE highwater.rollup AS r
   SET definition = {{definition}}, definition_sha256 = {{definition_sha256}}, source = n.source, target = {{target_name}},
       capture_function = n.capture_function, time_column = n.time_column, tenant_column = n.tenant_column, grain = n.grain,
       installed_at = clock_timestamp(), census_at = n.census_at, watermark_at = n.watermark_at, drained_at = n.drained_at,
       dropped_before = n.dropped_before, last_error = NULL, last_error_at = NULL
  FROM highwater.rollup AS n
 WHERE r.name = {{name_literal}} AND n.name = {{next_literal}};
UPDATE highwater.rollup_slice AS slice SET rollup = {{name_literal}} WHERE slice.rollup = {{next_literal}};
DELETE FROM highwater.rollup_watch AS watch WHERE watch.rollup = {{name_literal}};
UPDATE highwater.rollup_watch AS watch SET rollup = {{name_literal}} WHERE watch.rollup = {{next_literal}};
DELETE FROM highwater.rollup AS r WHERE r.name = {{next_literal}};
