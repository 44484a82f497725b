-- job/event/write_events
-- $1 uuid host, locked   $2 jsonb reports
INSERT INTO highwater.job_event
       (host, epoch, seq, event_id, job, kind, event_at, raw_event_at, is_clamped, boot_id, mono_ms, skew_ms, is_conflict,
        body_sha256, payload)
SELECT $1, new.epoch, new.seq, new.event_id, new.job, new.kind, new.event_at, new.raw_event_at, new.is_clamped,
       new.boot_id, new.mono_ms, new.skew_ms, new.is_conflict, decode(new.body_sha256, 'hex'), new.payload
  FROM jsonb_to_recordset($2) AS new (
         epoch bigint, seq bigint, event_id uuid, job uuid, kind text, event_at timestamptz, raw_event_at timestamptz,
         is_clamped boolean, boot_id text, mono_ms bigint, skew_ms bigint, is_conflict boolean, body_sha256 text,
         payload jsonb)
