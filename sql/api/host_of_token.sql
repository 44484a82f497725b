-- api/host_of_token
-- $1 bytea: SHA-256 of the token
-- The host that a token stands for, and why it may not be let in. No row: nobody has that token.
SELECT token.host, tenant.name AS tenant,
       token.revoked_at IS NOT NULL AS is_revoked,
       coalesce(token.expires_at <= clock_timestamp(), false) AS is_expired,
       host.state = 'retired' AS is_retired
  FROM highwater.host_token AS token
  JOIN highwater.host AS host ON host.id = token.host
  JOIN highwater.tenant AS tenant ON tenant.id = host.tenant
 WHERE token.token_sha256 = $1
