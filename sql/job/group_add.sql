-- job/group_add
-- $1 uuid id   $2 uuid tenant   $3 uuid host   $4 text name   $5 text source   $6 text command   $7 text[] includes
-- $8 text[] excludes   $9 text pre_hook   $10 text post_hook   $11 bigint hook_timeout   $12 bigint job_timeout
-- $13 uuid[] repositories, the first one first   $14 bigint rpo   $15 to $20 integer keep_last, hourly, daily, weekly, monthly, yearly
-- $21 integer keep_min   $22 integer retry_max   $23 bigint retry_base   $24 bigint retry_cap   (spans in milliseconds)
-- No row: the host has a group of that name.
INSERT INTO highwater.source_group AS source_group
       (id, tenant, host, name, source, command, includes, excludes, pre_hook, post_hook, hook_timeout, job_timeout, repository,
        rpo, keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, keep_min, retry_max, retry_base, retry_cap)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
        coalesce($11 * interval '1 millisecond', '5 minutes'), coalesce($12 * interval '1 millisecond', '1 day'), ($13::uuid[])[1],
        $14 * interval '1 millisecond', $15, $16, $17, $18, $19, $20, coalesce($21, 1), coalesce($22, 3),
        coalesce($23 * interval '1 millisecond', '10 minutes'), coalesce($24 * interval '1 millisecond', '6 hours'))
    ON CONFLICT (host, name) WHERE removed_at IS NULL DO NOTHING
RETURNING source_group.id
