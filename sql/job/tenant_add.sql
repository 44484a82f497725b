-- job/tenant_add
-- $1 uuid id for a new one   $2 text name
-- The tenant of that name, made if it is not known; the update that changes nothing returns one that is.
INSERT INTO highwater.tenant (id, name) VALUES ($1, $2)
    ON CONFLICT ON CONSTRAINT tenant_name_is_unique DO UPDATE SET name = excluded.name
RETURNING id
