-- template/mark_range
-- $1 timestamptz: start of the range, inclusive
-- $2 timestamptz: end of the range, exclusive
-- Marks the buckets that the range touches; returns them as a range on the grain.
INSERT INTO {{wide}} (lo, hi)
VALUES (date_bin({{width}}, $1, {{origin}}),
        date_bin({{width}}, $2 - interval '1 microsecond', {{origin}}) + {{width}})
RETURNING lo, hi
