-- job/token_add
-- $1 bytea SHA-256 of the token   $2 uuid host   $3 bigint life, milliseconds, or NULL   $4 boolean whether all others are void
WITH
void AS (
  UPDATE highwater.host_token SET revoked_at = clock_timestamp() WHERE host = $2 AND revoked_at IS NULL AND $4
)
INSERT INTO highwater.host_token (token_sha256, host, expires_at)
VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
RETURNING host
