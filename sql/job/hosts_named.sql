-- job/hosts_named
-- $1 text name   $2 uuid id   $3 text tenant's name   $4 uuid tenant's id   (NULL: not given)
-- Several rows: the name is ambiguous.
SELECT host.id, host.tenant, tenant.name AS tenant_name, host.name
  FROM highwater.host AS host
  JOIN highwater.tenant AS tenant ON tenant.id = host.tenant
 WHERE (host.name = $1 OR host.id = $2)
   AND ($3::text IS NULL OR tenant.name = $3 OR tenant.id = $4)
 ORDER BY tenant.name, host.id
 LIMIT 10
