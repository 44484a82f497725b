-- rollup/read_settings
-- One snapshot for looking and reading. Compilation would cost more than it gains: the planner adds up branches of the
-- live view that are not executed.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off
