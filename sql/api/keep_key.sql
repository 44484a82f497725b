-- api/keep_key
-- $1 uuid: host
-- $2 text: idempotency key
-- $3 bytea: SHA-256 of the request
-- $4 int4: HTTP status
-- $5 jsonb: body of the answer
INSERT INTO highwater.idempotency_key (host, key, request_sha256, status, response, state)
VALUES ($1, $2, $3, $4, $5, 'done')
