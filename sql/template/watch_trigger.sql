-- template/watch_trigger
-- Waits for transactions that are writing to the table. A trigger with transition tables takes no list of columns: the
-- function compares the watched ones.
CREATE OR REPLACE TRIGGER highwater_watch_insert AFTER INSERT ON {{relation}}
  REFERENCING NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION {{capture}}();
CREATE OR REPLACE TRIGGER highwater_watch_update AFTER UPDATE ON {{relation}}
  REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION {{capture}}();
CREATE OR REPLACE TRIGGER highwater_watch_delete AFTER DELETE ON {{relation}}
  REFERENCING OLD TABLE AS old_row FOR EACH STATEMENT EXECUTE FUNCTION {{capture}}();
CREATE OR REPLACE TRIGGER highwater_watch_truncate AFTER TRUNCATE ON {{relation}}
  FOR EACH STATEMENT EXECUTE FUNCTION {{capture}}();
