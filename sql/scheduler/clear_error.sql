-- scheduler/clear_error
-- $1 text: rollup
-- A drain works again.
UPDATE highwater.rollup AS rollup
   SET last_error = NULL, last_error_at = NULL
 WHERE rollup.name = $1 AND rollup.last_error IS NOT NULL
