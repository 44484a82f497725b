-- rollup/slice_settings
-- For statements over whole slices: the planner expects several times too many groups and would sort them.
SET enable_sort = off; SET jit = off; SET work_mem = '64MB'
