-- job/event/kept
-- $1 uuid host   $2 uuid[] event ids   $3 bigint[] epochs   $4 bigint[] sequence numbers, each of the epoch at its place
-- Reports that are there already, under one of these ids or at one of these places: two index look-ups for each.
SELECT event.event_id, event.epoch, event.seq, event.body_sha256
  FROM unnest($2::uuid[]) AS sent (event_id)
  JOIN highwater.job_event AS event ON event.host = $1 AND event.event_id = sent.event_id
 UNION
SELECT event.event_id, event.epoch, event.seq, event.body_sha256
  FROM unnest($3::bigint[], $4::bigint[]) AS sent (epoch, seq)
  JOIN highwater.job_event AS event ON event.host = $1 AND event.epoch = sent.epoch AND event.seq = sent.seq
