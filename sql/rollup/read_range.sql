-- rollup/read_range
-- $1 timestamptz: start as an instant; NULL when it is given as a local time
-- $2 text: start as a local time
-- $3 timestamptz: end as an instant; NULL when it is given as a local time
-- $4 text: end as a local time
-- $5 text: zone
-- The range as instants. An unknown zone is an error.
SELECT coalesce($1, $2::timestamp AT TIME ZONE $5) AS from_at, coalesce($3, $4::timestamp AT TIME ZONE $5) AS to_at,
       now() AT TIME ZONE $5 IS NOT NULL AS is_known
