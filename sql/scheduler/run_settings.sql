-- scheduler/run_settings
-- $1 text: longest statement, in milliseconds
-- For the rest of the transaction: the job's timeout holds in the server too, and a worker that freezes between two
-- statements does not keep its locks.
SELECT set_config('statement_timeout', $1, true), set_config('idle_in_transaction_session_timeout', '10s', true)
