-- job/is_zone
-- $1 text
SELECT EXISTS (SELECT FROM pg_catalog.pg_timezone_names WHERE name = $1) AS known
