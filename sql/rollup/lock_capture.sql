-- rollup/lock_capture
-- $1 text: source, as highwater.rollup names it
-- Until the transaction ends, nobody else writes the capture function of this source: each writes it anew from all
-- rollups over it, and would leave out one that is being installed beside it.
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('highwater.capture'), pg_catalog.hashtext($1))
