-- Alarms are told: which of them a channel wants, what it signs or logs in with, and how each telling goes.

ALTER TABLE highwater.alarm
  ADD COLUMN severity text NOT NULL GENERATED ALWAYS AS (
    CASE WHEN kind IN ('failed', 'missed', 'over_rpo', 'drift') THEN 'critical' ELSE 'warning' END) STORED;
COMMENT ON COLUMN highwater.alarm.severity IS 'warning or critical; follows from the kind.';

ALTER TABLE highwater.alarm_channel
  ADD COLUMN secret text CONSTRAINT alarm_channel_secret_is_a_reference
    CHECK (secret ~ '^(env:HIGHWATER_SECRET_[A-Z0-9_]+|file:/.+)$'),
  ADD COLUMN username text,
  ADD COLUMN kinds text[] CONSTRAINT alarm_channel_kinds_are_known
    CHECK (cardinality(kinds) > 0
           AND kinds <@ ARRAY['failed', 'warned', 'missed', 'over_rpo', 'drift', 'conflict', 'clock']),
  ADD COLUMN min_severity text NOT NULL DEFAULT 'warning' CONSTRAINT alarm_channel_min_severity_is_known
    CHECK (min_severity IN ('warning', 'critical')),
  ADD COLUMN enabled boolean NOT NULL DEFAULT true,
  ADD COLUMN rev bigint NOT NULL DEFAULT 1,
  ADD CONSTRAINT alarm_channel_login_is_whole CHECK (username IS NULL OR (kind = 'smtp' AND secret IS NOT NULL));
COMMENT ON COLUMN highwater.alarm_channel.secret IS 'Where whoever sends finds the key that signs a webhook, or the password of smtp: env:HIGHWATER_SECRET_… or file:/…; the secret itself is not in the database.';
COMMENT ON COLUMN highwater.alarm_channel.username IS 'Of smtp: who logs in; NULL: nobody.';
COMMENT ON COLUMN highwater.alarm_channel.kinds IS 'Kinds of alarms that it is told; NULL: all.';
COMMENT ON COLUMN highwater.alarm_channel.min_severity IS 'It is told alarms of this severity and above.';
COMMENT ON COLUMN highwater.alarm_channel.enabled IS 'false: it is told nothing new, and what waits goes on waiting.';
COMMENT ON COLUMN highwater.alarm_channel.rev IS 'Rises with every edit.';
COMMENT ON COLUMN highwater.alarm_channel.url IS 'https://…, or smtps://…, smtp://… (STARTTLS), smtp+plain://…; or a reference, as in secret, where the URL is one. Never a password.';

ALTER TABLE highwater.alarm_delivery
  ADD COLUMN id uuid NOT NULL DEFAULT highwater.uuid_v7(),
  ADD COLUMN created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ADD CONSTRAINT alarm_delivery_id_is_unique UNIQUE (id),
  DROP CONSTRAINT alarm_delivery_event_is_known,
  ADD CONSTRAINT alarm_delivery_event_is_known CHECK (event IN ('raised', 'acknowledged', 'resolved'));
COMMENT ON COLUMN highwater.alarm_delivery.id IS 'UUIDv7; sent along, the same at each try, so that a receiver can tell a repetition.';
COMMENT ON COLUMN highwater.alarm_delivery.created_at IS 'Database clock when the alarm came into the state that is told.';
COMMENT ON COLUMN highwater.alarm_delivery.event IS 'The alarm''s state that is told, each once: raised, acknowledged or resolved.';
COMMENT ON COLUMN highwater.alarm_delivery.next_try_at IS 'When it is tried next, while it waits; in hand until then if a try is under way.';
DROP INDEX highwater.alarm_delivery_due;
CREATE INDEX alarm_delivery_due ON highwater.alarm_delivery (channel, next_try_at) WHERE state = 'waiting';
COMMENT ON INDEX highwater.alarm_delivery_due IS 'What is due for each channel, so that a dead one holds back nobody else.';
CREATE INDEX alarm_delivery_failed ON highwater.alarm_delivery (channel) WHERE state = 'failed';
COMMENT ON INDEX highwater.alarm_delivery_failed IS 'What was given up.';

INSERT INTO highwater.job (name, kind, scopes, cadence, catch_up_window, timeout, backoff, max_attempts, max_crashes, keep_done) VALUES
  ('notify', 'builtin', 'single', '1 minute', '1 minute', '5 minutes', '1 second', 5, 20, '2 days');
