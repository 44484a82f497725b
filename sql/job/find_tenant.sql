-- job/find_tenant
-- $1 text name   $2 uuid id, or NULL
SELECT tenant.id FROM highwater.tenant AS tenant WHERE tenant.name = $1 OR tenant.id = $2
