-- api/find_key
-- $1 uuid: host
-- $2 text: idempotency key
-- What was asked and answered under a key. No row: nothing yet.
SELECT known.request_sha256, known.status, known.response
  FROM highwater.idempotency_key AS known
 WHERE known.host = $1 AND known.key = $2 AND known.state = 'done'
