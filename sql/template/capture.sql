-- template/capture
-- Called once per statement on the source, for all rollups over it: appends the buckets of its old and new rows.
-- SECURITY DEFINER, so that an application needs rights on its own table only; every name is qualified and the
-- search_path is pinned, so that no caller can redirect it. The plan is made by a session's first statement, which
-- mostly has one row, and is then kept: without enable_sort = off a COPY would sort its rows to find its few buckets,
-- which doubles what capture costs it. Rows without a countable time are left aside: a writer is never failed by
-- capture. So neither by a column that is not there any more: then everything is marked, until somebody looks. An index
-- holds on to its columns, tells the new name of a renamed one, and is gone with a dropped or retyped one; asking it costs
-- a fifth of asking the catalog, and, unlike a handler of exceptions, no transaction id and no subtransaction.
CREATE OR REPLACE FUNCTION {{capture}}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_sort = off
AS {{quote}}
BEGIN
  IF TG_OP = 'INSERT' THEN
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
