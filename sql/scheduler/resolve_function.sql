-- scheduler/resolve_function
-- $1 text: function, qualified and quoted
-- Which form of a function there is: one that takes the plan time, one that takes nothing, or neither.
SELECT pg_catalog.to_regprocedure($1 || '(timestamptz)') IS NOT NULL AS takes_time,
       pg_catalog.to_regprocedure($1 || '()') IS NOT NULL AS takes_nothing
