-- template/read_clean
-- $1 timestamptz: start of the range, inclusive
-- $2 timestamptz: end of the range, exclusive
-- Whether nothing of the range is open, so that the table alone may be read in the same snapshot.
SELECT NOT EXISTS (SELECT FROM {{dirty}} AS m WHERE m.bucket > $1 - {{width}} AND m.bucket < $2)
   AND NOT o.spans && tstzrange($1, $2) AS is_clean
  FROM {{open}} AS o
