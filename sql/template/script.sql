-- Rollup {{name}}, rendered by highwater {{build}} for the database that was asked, and for no other: it names an index by its
-- number. To install it: psql -v ON_ERROR_STOP=1 -f THIS_FILE
-- It is one transaction, which holds back writers of {{source_name}} from the triggers on; give up and try again when a long
-- writer is in the way. History is filled afterwards: highwater backfill {{name}}.
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '3s';
SET LOCAL search_path = {{search_path}};

-- The capture functions below serve all rollups over their tables, and were rendered for those that there were.
{{lock_capture}};
DO {{quote}}
BEGIN
  IF (SELECT coalesce(array_agg(r.name ORDER BY r.name), '{}') FROM highwater.rollup AS r
       WHERE r.name <> {{name_literal}}) <> {{others}}::text[] THEN
    RAISE EXCEPTION 'the installed rollups are no longer those for which this was rendered'
      USING HINT = 'render it again with "highwater rollup sql"';
  END IF;
END
{{quote}};

{{tables}}
{{functions}}
{{views}}
{{ledger}}
{{engine}}
{{capture}}
SELECT highwater.remember_relations({{name_literal}});
{{complete_if_empty}}
COMMIT;
