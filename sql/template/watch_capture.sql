-- template/watch_capture
-- Called once per statement on a watched table, for all rollups that watch it: appends the keys whose rows came, went or
-- changed in a watched column. What they touch is not looked up here: an event that another transaction has inserted and
-- not committed would be missed. SECURITY DEFINER and a pinned search_path, as in template/capture.
CREATE OR REPLACE FUNCTION {{capture}}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_sort = off SET extra_float_digits = 3
AS {{quote}}
BEGIN
  IF TG_OP <> 'TRUNCATE' AND {{has_lost_columns}} THEN
    -- a column was renamed, dropped or retyped: which keys have changed cannot be said any more
{{on_truncate}}
  ELSIF TG_OP = 'INSERT' THEN
{{on_insert}}
  ELSIF TG_OP = 'UPDATE' THEN
{{on_update}}
  ELSIF TG_OP = 'DELETE' THEN
{{on_delete}}
  ELSE
{{on_truncate}}
  END IF;
  RETURN NULL;
END
{{quote}};
