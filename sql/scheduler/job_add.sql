-- scheduler/job_add
-- $1 text: name
-- $2 text: kind, sql or command
-- $3 text: function of an sql job, else NULL
-- $4 text[]: words of a command job, else empty
-- $5 int8: cadence in milliseconds; NULL with a cron
-- $6 int8: schedule delay in milliseconds
-- $7 text: catch-up, latest or every
-- $8 int8: catch-up window in milliseconds
-- $9 int4: catch-up cap
-- $10 text: overlap, forbid or allow
-- $11 int8: timeout in milliseconds
-- $12 int8: backoff in milliseconds
-- $13 int4: most attempts
-- $14 int4: most crashes
-- $15 text: cron expression; NULL with a cadence
-- $16 text: its time zone; NULL with a cadence
-- No row: the name is taken.
INSERT INTO highwater.job (name, kind, function, command, cadence, schedule_delay, catch_up, catch_up_window, catch_up_cap,
                           overlap, timeout, backoff, max_attempts, max_crashes, cron, tz)
VALUES ($1, $2, $3, nullif($4::text[], '{}'), $5 * interval '1 millisecond', $6 * interval '1 millisecond', $7,
        $8 * interval '1 millisecond', $9, $10, $11 * interval '1 millisecond', $12 * interval '1 millisecond', $13, $14, $15, $16)
ON CONFLICT (name) DO NOTHING
RETURNING name
