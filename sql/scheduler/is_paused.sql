-- scheduler/is_paused
-- $1 text: rollup
-- Whether the worker leaves a rollup alone. No row: it is gone.
SELECT rollup.paused_at IS NOT NULL AS paused FROM highwater.rollup AS rollup WHERE rollup.name = $1
