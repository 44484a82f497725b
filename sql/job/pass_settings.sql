-- job/pass_settings
-- For the transaction of one pass: each look into a table is one by its index, also where the table was empty when it was last
-- analysed; and no time goes into compiling what runs once.
SELECT pg_catalog.set_config('enable_seqscan', 'off', true), pg_catalog.set_config('jit', 'off', true)
