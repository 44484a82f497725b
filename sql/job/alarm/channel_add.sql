-- job/alarm/channel_add
-- $1 uuid tenant (NULL: whoever runs highwater)   $2 text name   $3 text kind   $4 text url   $5 text secret   $6 text username
-- $7 text sender   $8 text[] recipients   $9 text[] kinds   $10 text least severity   $11 boolean whether it is told
-- No row: there is one of that name.
INSERT INTO highwater.alarm_channel AS channel
       (tenant, name, kind, url, secret, username, sender, recipients, kinds, min_severity, enabled)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (tenant, name) DO NOTHING
RETURNING channel.id
