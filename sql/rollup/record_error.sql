-- rollup/record_error
-- $1 text: name
-- $2 text: what went wrong; NULL after a success
-- In a transaction of its own: an error noted in the failed one would be rolled back with it.
UPDATE highwater.rollup AS rollup
   SET last_error = $2, last_error_at = CASE WHEN $2::text IS NOT NULL THEN clock_timestamp() END
 WHERE rollup.name = $1 AND rollup.last_error IS DISTINCT FROM $2
