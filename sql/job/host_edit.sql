-- job/host_edit
-- $1 uuid host   $2 text mode   $3 text tz   $4 integer max_concurrent   $5 bigint rpo, milliseconds   (NULL: as it is)
-- $6 boolean whether the rpo goes   $7 bigint revision that it must be at, or NULL
WITH
changed AS (
  UPDATE highwater.host AS host
     SET mode = coalesce($2, host.mode), tz = coalesce($3, host.tz), max_concurrent = coalesce($4, host.max_concurrent),
         rpo = CASE WHEN NOT $6 THEN coalesce($5 * interval '1 millisecond', host.rpo) END,
         rev = host.rev + 1
   WHERE host.id = $1 AND ($7::bigint IS NULL OR host.rev = $7)
  RETURNING host.rev
)
SELECT coalesce((SELECT changed.rev FROM changed), host.rev) AS rev, EXISTS (SELECT FROM changed) AS is_changed
  FROM highwater.host AS host
 WHERE host.id = $1
