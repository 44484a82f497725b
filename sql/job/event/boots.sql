-- job/event/boots
-- $1 uuid host   $2 text[] boot ids
SELECT boot.boot_id, boot.booted_at
  FROM highwater.host_boot AS boot
 WHERE boot.host = $1 AND boot.boot_id = ANY ($2)
