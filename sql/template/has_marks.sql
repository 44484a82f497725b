-- template/has_marks
-- $1 timestamptz: start of the range, inclusive
-- $2 timestamptz: end of the range, exclusive
-- Whether somebody has changed something since that may explain why rows of the range differ from what they were.
SELECT EXISTS (SELECT FROM {{mark}} AS m WHERE m.bucket >= $1 AND m.bucket < $2) OR EXISTS (SELECT FROM {{wide}}){{or_watched}} AS found
