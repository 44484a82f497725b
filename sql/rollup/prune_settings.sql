-- rollup/prune_settings
-- Of a transaction that prunes: times are read as UTC, no row is hidden from it, and a client that freezes in it does not
-- hold a month for longer than this. The array of places is scanned by place, whatever the size of the table.
SET LOCAL TimeZone = 'UTC'; SET LOCAL row_security = off; SET LOCAL jit = off; SET LOCAL work_mem = '64MB';
SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL random_page_cost = 1.1
