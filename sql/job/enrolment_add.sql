-- job/enrolment_add
-- $1 bytea SHA-256 of the code   $2 uuid host   $3 bigint life, milliseconds
WITH
-- A code that was mislaid must not stay good beside the new one.
void AS (
  DELETE FROM highwater.host_enrolment WHERE host = $2 AND used_at IS NULL
)
INSERT INTO highwater.host_enrolment (code_sha256, host, expires_at)
VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
RETURNING host
