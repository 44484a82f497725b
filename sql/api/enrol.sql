-- api/enrol
-- $1 bytea: SHA-256 of the code
-- $2 bytea: SHA-256 of the new token
-- Exchanges a code for a token, once. No row: the code is not known, used or expired, or its host is retired.
WITH used AS (
  UPDATE highwater.host_enrolment AS enrolment
     SET used_at = clock_timestamp()
    FROM highwater.host AS host
   WHERE enrolment.code_sha256 = $1 AND enrolment.used_at IS NULL AND enrolment.expires_at > clock_timestamp()
     AND host.id = enrolment.host AND host.state <> 'retired'
  RETURNING host.id, host.name
), added AS (
  INSERT INTO highwater.host_token (token_sha256, host) SELECT $2, used.id FROM used
)
SELECT used.id AS host, used.name FROM used
