-- bench/empty_captured
-- Both ways of a round begin with empty tables. TRUNCATE leaves a mark of its own, hence the order.
TRUNCATE bench.captured;
TRUNCATE highwater.bench_captured_mark, highwater.bench_captured_wide
