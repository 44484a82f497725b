-- migrate/guard
-- $1 text name of the rollup
-- $2 text greatest lag of its watermark, an interval
-- Raises HW010 unless the rollup is complete and current.
SELECT highwater.assert_rollup_current($1, $2::interval)
