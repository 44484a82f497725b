-- job/host_add
-- $1 uuid id   $2 uuid tenant   $3 text name   $4 text mode   $5 text tz   $6 integer max_concurrent   $7 bigint rpo, milliseconds
-- No row: the tenant has a host of that name.
INSERT INTO highwater.host (id, tenant, name, mode, tz, max_concurrent, rpo)
VALUES ($1, $2, $3, $4, $5, $6, $7 * interval '1 millisecond')
    ON CONFLICT ON CONSTRAINT host_is_unique DO NOTHING
RETURNING id
