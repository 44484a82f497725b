-- job/find_host
-- $1 text: id or name
-- $2 text: name of its tenant; NULL if it was not said
SELECT host.id, host.tenant, host.name, host.mode, host.tz, host.state, tenant.name AS tenant_name
  FROM highwater.host AS host
  JOIN highwater.tenant AS tenant ON tenant.id = host.tenant
 WHERE (host.id::text = lower($1) OR host.name = $1) AND ($2::text IS NULL OR tenant.name = $2)
 ORDER BY tenant.name, host.id
 LIMIT 2
