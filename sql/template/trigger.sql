-- template/trigger
-- Waits for transactions that are writing to the table; every change after it leaves a mark.
CREATE OR REPLACE TRIGGER highwater_capture_insert AFTER INSERT ON {{relation}}
  REFERENCING NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION {{capture}}();
CREATE OR REPLACE TRIGGER highwater_capture_update AFTER UPDATE ON {{relation}}
  REFERENCING OLD TABLE AS old_row NEW TABLE AS new_row FOR EACH STATEMENT EXECUTE FUNCTION {{capture}}();
CREATE OR REPLACE TRIGGER highwater_capture_delete AFTER DELETE ON {{relation}}
  REFERENCING OLD TABLE AS old_row FOR EACH STATEMENT EXECUTE FUNCTION {{capture}}();
CREATE OR REPLACE TRIGGER highwater_capture_truncate AFTER TRUNCATE ON {{relation}}
  FOR EACH STATEMENT EXECUTE FUNCTION {{capture}}();
