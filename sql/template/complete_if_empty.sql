-- template/complete_if_empty
-- An empty source has no history to fill: the rollup is complete from the start. Looked at after the triggers have waited
-- for writers, so that nothing slips between.
DO {{quote}}
BEGIN
  IF NOT EXISTS (SELECT FROM {{source}}) THEN
    PERFORM {{census}}();
    PERFORM {{watermark}}();
  END IF;
END
{{quote}};
