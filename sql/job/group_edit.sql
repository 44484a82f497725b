-- job/group_edit
-- $1 uuid group   $2 text[] what is taken away   $3 bigint revision that it must be at, or NULL
-- $4 text command   $5 text[] includes   $6 text[] excludes   $7 text pre_hook   $8 text post_hook   $9 bigint hook_timeout
-- $10 bigint job_timeout   $11 bigint rpo   $12 to $17 integer keep_last, hourly, daily, weekly, monthly, yearly
-- $18 integer keep_min   $19 integer retry_max   $20 bigint retry_base   $21 bigint retry_cap
-- (NULL: as it is; spans in milliseconds)
WITH
changed AS (
  UPDATE highwater.source_group AS g
     SET command = coalesce($4, g.command), includes = coalesce($5, g.includes), excludes = coalesce($6, g.excludes),
         pre_hook = CASE WHEN NOT 'pre-hook' = ANY ($2::text[]) THEN coalesce($7, g.pre_hook) END,
         post_hook = CASE WHEN NOT 'post-hook' = ANY ($2::text[]) THEN coalesce($8, g.post_hook) END,
         hook_timeout = coalesce($9 * interval '1 millisecond', g.hook_timeout),
         job_timeout = coalesce($10 * interval '1 millisecond', g.job_timeout),
         rpo = CASE WHEN NOT 'rpo' = ANY ($2::text[]) THEN coalesce($11 * interval '1 millisecond', g.rpo) END,
         keep_last = CASE WHEN NOT 'keep-last' = ANY ($2::text[]) THEN coalesce($12, g.keep_last) END,
         keep_hourly = CASE WHEN NOT 'keep-hourly' = ANY ($2::text[]) THEN coalesce($13, g.keep_hourly) END,
         keep_daily = CASE WHEN NOT 'keep-daily' = ANY ($2::text[]) THEN coalesce($14, g.keep_daily) END,
         keep_weekly = CASE WHEN NOT 'keep-weekly' = ANY ($2::text[]) THEN coalesce($15, g.keep_weekly) END,
         keep_monthly = CASE WHEN NOT 'keep-monthly' = ANY ($2::text[]) THEN coalesce($16, g.keep_monthly) END,
         keep_yearly = CASE WHEN NOT 'keep-yearly' = ANY ($2::text[]) THEN coalesce($17, g.keep_yearly) END,
         keep_min = coalesce($18, g.keep_min), retry_max = coalesce($19, g.retry_max),
         retry_base = coalesce($20 * interval '1 millisecond', g.retry_base),
         retry_cap = coalesce($21 * interval '1 millisecond', g.retry_cap),
         rev = g.rev + 1
   WHERE g.id = $1 AND ($3::bigint IS NULL OR g.rev = $3)
  RETURNING g.rev
)
SELECT coalesce((SELECT changed.rev FROM changed), g.rev) AS rev, EXISTS (SELECT FROM changed) AS is_changed
  FROM highwater.source_group AS g
 WHERE g.id = $1
