-- job/repository_add
-- $1 uuid id for a new one   $2 uuid tenant   $3 text kind   $4 text url
INSERT INTO highwater.repository (id, tenant, kind, url) VALUES ($1, $2, $3, $4)
    ON CONFLICT ON CONSTRAINT repository_is_unique DO UPDATE SET url = excluded.url
RETURNING id, kind
