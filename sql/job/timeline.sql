-- job/timeline
-- $1 uuid job   $2 integer at most so many
SELECT event.event_id, event.epoch, event.seq, event.kind, event.event_at, event.raw_event_at, event.is_clamped,
       event.received_at, event.is_conflict, event.payload
  FROM highwater.job_event AS event
 WHERE event.job = $1
 ORDER BY event.epoch, event.seq
 LIMIT $2
