-- job/arms
-- $1 text: name of a tenant; NULL: of all
-- $2 text: id or name of a host; NULL: of all
-- Hosts that are armed, with what they wait for; the limit keeps a screen readable.
SELECT tenant.name AS tenant, host.name AS host, host.id AS host_id, host.mode, host.state, arm.due_at, arm.armed_by, arm.armed_at,
       arm.tries, coalesce(host.outbox_pending, 0) AS outbox_pending,
       EXISTS (SELECT FROM highwater.backup_job AS job
                WHERE job.host = host.id AND job.state IN ('queued', 'dispatched', 'running')) AS is_busy,
       (SELECT count(*) FROM highwater.overdue AS overdue WHERE overdue.host = host.id) AS overdue
  FROM highwater.catchup_arm AS arm
  JOIN highwater.host AS host ON host.id = arm.host
  JOIN highwater.tenant AS tenant ON tenant.id = host.tenant
 WHERE ($1::text IS NULL OR tenant.name = $1) AND ($2::text IS NULL OR host.name = $2 OR host.id::text = lower($2))
 ORDER BY arm.due_at, arm.host
 LIMIT 1000
