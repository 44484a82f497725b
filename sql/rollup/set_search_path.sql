-- rollup/set_search_path
-- $1 text: search_path for the rest of the transaction
SELECT pg_catalog.current_setting('search_path') AS before, pg_catalog.set_config('search_path', $1, true)
