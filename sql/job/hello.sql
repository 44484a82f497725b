-- job/hello
-- $1 uuid: host
-- $2 text: boot
-- $3 int8: epoch
-- $4 timestamptz: the host's clock
-- $5 int8: milliseconds since boot; NULL if the host does not say
-- $6 int8: reports that wait on the host
-- $7 timestamptz: the oldest of them, by the host's clock; NULL: none
-- $8 int8: sequence number up to which reports have been answered
-- A host is there, and, if it is one that sleeps, may have missed something: it is armed, or armed anew, and looked at when
-- it has settled. What a boot's monotonic clock means is written once. No row: no such host, or it is retired.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
greeted AS (
  UPDATE highwater.host AS host
     SET state = 'online', last_hello_at = moment.now, last_seen_at = moment.now, boot_id = $2,
         epoch = greatest(host.epoch, $3), skew_ms = (extract(epoch FROM $4 - moment.now) * 1000)::int8,
         outbox_pending = $6, outbox_oldest_at = $7, outbox_drained_to = $8
    FROM moment
   WHERE host.id = $1 AND host.state <> 'retired'
  RETURNING host.id, host.mode, host.rev, moment.now
), booted AS (
  INSERT INTO highwater.host_boot (host, boot_id, booted_at)
  SELECT greeted.id, $2, greeted.now - $5 * interval '1 millisecond' FROM greeted WHERE $5::int8 IS NOT NULL
  ON CONFLICT (host, boot_id) DO NOTHING
), armed AS (
  INSERT INTO highwater.catchup_arm AS arm (host, due_at, boot_id, armed_by)
  SELECT greeted.id, greeted.now + max(schedule.settle), $2, 'hello'
    FROM greeted
    JOIN highwater.schedule AS schedule ON schedule.host = greeted.id AND schedule.enabled AND schedule.removed_at IS NULL
   WHERE greeted.mode = 'intermittent'
   GROUP BY greeted.id, greeted.now
  ON CONFLICT (host) DO UPDATE
     SET due_at = excluded.due_at, boot_id = excluded.boot_id, armed_by = 'hello', tries = 0, armed_at = clock_timestamp()
  RETURNING due_at
)
SELECT greeted.now AS server_time, (SELECT armed.due_at FROM armed) AS armed_until,
       -- every edit and removal raises one of these, and none ever falls
       (greeted.rev
        + (SELECT coalesce(sum(schedule.rev), 0) FROM highwater.schedule AS schedule WHERE schedule.host = greeted.id)
        + (SELECT coalesce(sum(source_group.rev), 0) FROM highwater.source_group AS source_group
            WHERE source_group.host = greeted.id)
        + (SELECT coalesce(sum(repository.rev), 0)
             FROM (SELECT DISTINCT repository.id, repository.rev
                     FROM highwater.source_group AS source_group
                     JOIN highwater.group_repository AS target ON target.source_group = source_group.id
                     JOIN highwater.repository AS repository ON repository.id = target.repository
                    WHERE source_group.host = greeted.id) AS repository))::int8 AS config_rev
  FROM greeted
