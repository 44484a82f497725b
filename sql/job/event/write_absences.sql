-- job/event/write_absences
-- $1 uuid tenant   $2 uuid host   $3 jsonb slots at which nothing ran
-- A slot only moves up: missed, skipped, covered, ran. Of two reasons for one standing the lesser text stays, whichever came first.
INSERT INTO highwater.run_slot AS slot (schedule, source_group, slot_at, tenant, host, how, why)
SELECT DISTINCT ON (new.schedule, new.source_group, new.slot_at)
       new.schedule, new.source_group, new.slot_at, $1, $2, new.how, new.why
  FROM jsonb_to_recordset($3) AS new (schedule uuid, source_group uuid, slot_at timestamptz, how text, why text)
 ORDER BY new.schedule, new.source_group, new.slot_at, new.how DESC, new.why
    ON CONFLICT (schedule, source_group, slot_at) DO UPDATE
   SET how = excluded.how, why = excluded.why
 WHERE (slot.how = 'missed' AND excluded.how = 'skipped') OR (slot.how = excluded.how AND slot.job IS NULL AND excluded.why < slot.why)
