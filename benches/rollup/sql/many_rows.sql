-- bench/many_rows
-- source, hours and statements, numbers, are spliced in.
-- Statements that each touch the same hours of one tenant after the other.
DO $$
BEGIN
  FOR number IN 1 .. {{statements}} LOOP
    INSERT INTO bench.many_{{source}}
    SELECT 't' || each.hour % 50, timestamptz '2025-01-01 00:10:00+00' + each.hour * interval '4 hours', 'k' || number % 7, number
      FROM generate_series(1, {{hours}}) AS each (hour);
  END LOOP;
END
$$
