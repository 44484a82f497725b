-- Backups: tenants, hosts, what they should back up and when, what they did, and what is known of it.
--
-- Ids are UUIDv7, made by the program or by a host; uuid_v7() serves statements that insert rows themselves. Times are
-- the database's clock unless a comment says otherwise. rev is the strong ETag of a row that people edit.

CREATE FUNCTION highwater.uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE SET search_path = pg_catalog
AS $$
  -- 48 bits of milliseconds over the head of a random version 4; the two bits make 4 into 7.
  SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
           PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
         52, 1), 53, 1), 'hex')::uuid
$$;
COMMENT ON FUNCTION highwater.uuid_v7() IS 'A new UUIDv7 by the database''s clock, for servers that have no uuidv7() of their own.';

CREATE TABLE highwater.tenant (
  id uuid PRIMARY KEY DEFAULT highwater.uuid_v7(),
  name text NOT NULL CONSTRAINT tenant_name_is_unique UNIQUE
    CONSTRAINT tenant_name_is_short CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE highwater.tenant IS 'Unit of isolation: whose hosts, jobs and records these are.';
COMMENT ON COLUMN highwater.tenant.id IS 'UUIDv7.';
COMMENT ON COLUMN highwater.tenant.name IS 'As people write it.';
COMMENT ON COLUMN highwater.tenant.created_at IS 'Database clock when it was made.';

CREATE TABLE highwater.host (
  id uuid PRIMARY KEY DEFAULT highwater.uuid_v7(),
  tenant uuid NOT NULL CONSTRAINT host_tenant_exists REFERENCES highwater.tenant (id),
  name text NOT NULL CONSTRAINT host_name_is_short CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
  mode text NOT NULL CONSTRAINT host_mode_is_known CHECK (mode IN ('always_on', 'intermittent')),
  tz text NOT NULL,
  state text NOT NULL DEFAULT 'enrolling' CONSTRAINT host_state_is_known CHECK (state IN ('enrolling', 'online', 'offline', 'retired')),
  rpo interval CONSTRAINT host_rpo_is_positive CHECK (rpo > '0'),
  last_hello_at timestamptz,
  last_seen_at timestamptz,
  boot_id text,
  epoch bigint CONSTRAINT host_epoch_is_not_negative CHECK (epoch >= 0),
  skew_ms bigint,
  outbox_pending bigint CONSTRAINT host_outbox_pending_is_not_negative CHECK (outbox_pending >= 0),
  outbox_oldest_at timestamptz,
  outbox_drained_to bigint,
  max_concurrent integer NOT NULL DEFAULT 1 CONSTRAINT host_max_concurrent_is_positive CHECK (max_concurrent >= 1),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  rev bigint NOT NULL DEFAULT 1,
  CONSTRAINT host_is_unique UNIQUE (tenant, name),
  CONSTRAINT host_of_tenant UNIQUE (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX host_name ON highwater.host (name);
COMMENT ON INDEX highwater.host_name IS 'Finds hosts by a name whose tenant was not given.';
COMMENT ON TABLE highwater.host IS 'A machine that backs itself up through an agent.';
COMMENT ON COLUMN highwater.host.id IS 'UUIDv7.';
COMMENT ON COLUMN highwater.host.tenant IS 'Whose it is.';
COMMENT ON COLUMN highwater.host.name IS 'Unique within its tenant.';
COMMENT ON COLUMN highwater.host.mode IS 'always_on: its absence is an alarm; intermittent: it sleeps, and catches up when it wakes.';
COMMENT ON COLUMN highwater.host.tz IS 'IANA zone in which its days are counted.';
COMMENT ON COLUMN highwater.host.state IS 'enrolling, online, offline or retired; see docs/DATA_MODEL.md.';
COMMENT ON COLUMN highwater.host.rpo IS 'How old the last good backup of each of its groups may become; NULL: nobody asked.';
COMMENT ON COLUMN highwater.host.last_hello_at IS 'Database clock at its last hello.';
COMMENT ON COLUMN highwater.host.last_seen_at IS 'Database clock when it last reported anything.';
COMMENT ON COLUMN highwater.host.boot_id IS 'Opaque name of the boot that said hello last.';
COMMENT ON COLUMN highwater.host.epoch IS 'Start counter of the agent that said hello last.';
COMMENT ON COLUMN highwater.host.skew_ms IS 'Milliseconds by which its clock was ahead of the database''s at its last hello.';
COMMENT ON COLUMN highwater.host.outbox_pending IS 'Reports that wait on the host, as it said at its last hello.';
COMMENT ON COLUMN highwater.host.outbox_oldest_at IS 'The oldest of them, by the host''s clock.';
COMMENT ON COLUMN highwater.host.outbox_drained_to IS 'Sequence number up to which its reports have arrived.';
COMMENT ON COLUMN highwater.host.max_concurrent IS 'Backups that may run on it at once.';
COMMENT ON COLUMN highwater.host.created_at IS 'Database clock when it was added.';
COMMENT ON COLUMN highwater.host.rev IS 'Rises with every edit.';

CREATE TABLE highwater.host_enrolment (
  code_sha256 bytea PRIMARY KEY CONSTRAINT host_enrolment_code_is_hashed CHECK (octet_length(code_sha256) = 32),
  host uuid NOT NULL CONSTRAINT host_enrolment_host_exists REFERENCES highwater.host (id) ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz
);
CREATE INDEX host_enrolment_host ON highwater.host_enrolment (host);
COMMENT ON TABLE highwater.host_enrolment IS 'A code that is exchanged once for a token.';
COMMENT ON COLUMN highwater.host_enrolment.code_sha256 IS 'SHA-256 of the code; the code itself is kept nowhere.';
COMMENT ON COLUMN highwater.host_enrolment.host IS 'The host that it enrols.';
COMMENT ON COLUMN highwater.host_enrolment.created_at IS 'Database clock when it was made.';
COMMENT ON COLUMN highwater.host_enrolment.expires_at IS 'It is worth nothing afterwards.';
COMMENT ON COLUMN highwater.host_enrolment.used_at IS 'When it was exchanged; NULL: not yet.';

CREATE TABLE highwater.host_token (
  token_sha256 bytea PRIMARY KEY CONSTRAINT host_token_is_hashed CHECK (octet_length(token_sha256) = 32),
  host uuid NOT NULL CONSTRAINT host_token_host_exists REFERENCES highwater.host (id) ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz
);
CREATE INDEX host_token_host ON highwater.host_token (host);
COMMENT ON TABLE highwater.host_token IS 'What an agent shows to prove which host it is.';
COMMENT ON COLUMN highwater.host_token.token_sha256 IS 'SHA-256 of the token; the token itself is kept nowhere.';
COMMENT ON COLUMN highwater.host_token.host IS 'The host that it stands for.';
COMMENT ON COLUMN highwater.host_token.created_at IS 'Database clock when it was made.';
COMMENT ON COLUMN highwater.host_token.expires_at IS 'It is refused afterwards; NULL: never.';
COMMENT ON COLUMN highwater.host_token.revoked_at IS 'When it was taken back; NULL: it is good.';

CREATE TABLE highwater.operator_token (
  token_sha256 bytea PRIMARY KEY CONSTRAINT operator_token_is_hashed CHECK (octet_length(token_sha256) = 32),
  tenant uuid CONSTRAINT operator_token_tenant_exists REFERENCES highwater.tenant (id) ON DELETE CASCADE,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz
);
COMMENT ON TABLE highwater.operator_token IS 'What a person or program shows to the HTTP API for operators.';
COMMENT ON COLUMN highwater.operator_token.token_sha256 IS 'SHA-256 of the token; the token itself is kept nowhere.';
COMMENT ON COLUMN highwater.operator_token.tenant IS 'The one tenant that it opens; NULL: all.';
COMMENT ON COLUMN highwater.operator_token.name IS 'Who holds it, for people.';
COMMENT ON COLUMN highwater.operator_token.created_at IS 'Database clock when it was made.';
COMMENT ON COLUMN highwater.operator_token.expires_at IS 'It is refused afterwards; NULL: never.';
COMMENT ON COLUMN highwater.operator_token.revoked_at IS 'When it was taken back; NULL: it is good.';

CREATE TABLE highwater.host_boot (
  host uuid NOT NULL CONSTRAINT host_boot_host_exists REFERENCES highwater.host (id) ON DELETE CASCADE,
  boot_id text NOT NULL,
  booted_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (host, boot_id)
);
COMMENT ON TABLE highwater.host_boot IS 'When a boot of a host began by the database''s clock. Written once, at the boot''s first hello, so that what an event''s monotonic offset means never changes.';
COMMENT ON COLUMN highwater.host_boot.host IS 'The host.';
COMMENT ON COLUMN highwater.host_boot.boot_id IS 'Opaque name of the boot, as its events carry it.';
COMMENT ON COLUMN highwater.host_boot.booted_at IS 'Database clock at the first hello minus the monotonic offset that it carried: the zero of mono_ms.';
COMMENT ON COLUMN highwater.host_boot.recorded_at IS 'Database clock at that hello.';

CREATE TABLE highwater.repository (
  id uuid PRIMARY KEY DEFAULT highwater.uuid_v7(),
  tenant uuid NOT NULL CONSTRAINT repository_tenant_exists REFERENCES highwater.tenant (id),
  kind text NOT NULL CONSTRAINT repository_kind_is_known CHECK (kind IN ('directory', 's3', 'restic')),
  url text NOT NULL,
  max_concurrent integer NOT NULL DEFAULT 1 CONSTRAINT repository_max_concurrent_is_positive CHECK (max_concurrent >= 1),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  rev bigint NOT NULL DEFAULT 1,
  CONSTRAINT repository_is_unique UNIQUE (tenant, url),
  CONSTRAINT repository_of_tenant UNIQUE (tenant, id)
);
COMMENT ON TABLE highwater.repository IS 'Where archives are kept.';
COMMENT ON COLUMN highwater.repository.id IS 'UUIDv7.';
COMMENT ON COLUMN highwater.repository.tenant IS 'Whose it is.';
COMMENT ON COLUMN highwater.repository.kind IS 'directory: a local directory; s3: an S3-compatible store; restic: a restic repository.';
COMMENT ON COLUMN highwater.repository.url IS 'Where it is, without a password; unique within its tenant.';
COMMENT ON COLUMN highwater.repository.max_concurrent IS 'Backups that may write to it at once.';
COMMENT ON COLUMN highwater.repository.created_at IS 'Database clock when it was added.';
COMMENT ON COLUMN highwater.repository.rev IS 'Rises with every edit.';

CREATE TABLE highwater.source_group (
  id uuid PRIMARY KEY DEFAULT highwater.uuid_v7(),
  tenant uuid NOT NULL,
  host uuid NOT NULL,
  name text NOT NULL CONSTRAINT source_group_name_is_short CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
  source text NOT NULL CONSTRAINT source_group_source_is_known CHECK (source IN ('command', 'directory', 'restic')),
  command text,
  includes text[] NOT NULL DEFAULT '{}',
  excludes text[] NOT NULL DEFAULT '{}',
  pre_hook text,
  post_hook text,
  hook_timeout interval NOT NULL DEFAULT '5 minutes' CONSTRAINT source_group_hook_timeout_is_positive CHECK (hook_timeout > '0'),
  job_timeout interval NOT NULL DEFAULT '1 day' CONSTRAINT source_group_job_timeout_is_positive CHECK (job_timeout > '0'),
  repository uuid NOT NULL,
  rpo interval CONSTRAINT source_group_rpo_is_positive CHECK (rpo > '0'),
  keep_last integer CONSTRAINT source_group_keep_last_is_positive CHECK (keep_last >= 1),
  keep_hourly integer CONSTRAINT source_group_keep_hourly_is_positive CHECK (keep_hourly >= 1),
  keep_daily integer CONSTRAINT source_group_keep_daily_is_positive CHECK (keep_daily >= 1),
  keep_weekly integer CONSTRAINT source_group_keep_weekly_is_positive CHECK (keep_weekly >= 1),
  keep_monthly integer CONSTRAINT source_group_keep_monthly_is_positive CHECK (keep_monthly >= 1),
  keep_yearly integer CONSTRAINT source_group_keep_yearly_is_positive CHECK (keep_yearly >= 1),
  keep_min integer NOT NULL DEFAULT 1 CONSTRAINT source_group_keep_min_is_positive CHECK (keep_min >= 1),
  retry_max integer NOT NULL DEFAULT 3 CONSTRAINT source_group_retry_max_is_not_negative CHECK (retry_max >= 0),
  retry_base interval NOT NULL DEFAULT '10 minutes' CONSTRAINT source_group_retry_base_is_positive CHECK (retry_base > '0'),
  retry_cap interval NOT NULL DEFAULT '6 hours' CONSTRAINT source_group_retry_cap_is_positive CHECK (retry_cap > '0'),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  removed_at timestamptz,
  rev bigint NOT NULL DEFAULT 1,
  CONSTRAINT source_group_host_exists FOREIGN KEY (tenant, host) REFERENCES highwater.host (tenant, id),
  CONSTRAINT source_group_repository_exists FOREIGN KEY (tenant, repository) REFERENCES highwater.repository (tenant, id),
  CONSTRAINT source_group_of_host UNIQUE (host, id),
  CONSTRAINT source_group_command_has_a_command CHECK ((source = 'command') = (command IS NOT NULL)),
  CONSTRAINT source_group_paths_are_named CHECK (source = 'command' OR cardinality(includes) > 0)
);
CREATE UNIQUE INDEX source_group_is_unique ON highwater.source_group (host, name) WHERE removed_at IS NULL;
COMMENT ON INDEX highwater.source_group_is_unique IS 'A removed group stays for its history, and its name is free again.';
CREATE INDEX source_group_repository ON highwater.source_group (tenant, repository);
COMMENT ON TABLE highwater.source_group IS 'What of a host is backed up together, how, and how long it is kept.';
COMMENT ON COLUMN highwater.source_group.id IS 'UUIDv7.';
COMMENT ON COLUMN highwater.source_group.tenant IS 'That of its host.';
COMMENT ON COLUMN highwater.source_group.host IS 'The host that it is on.';
COMMENT ON COLUMN highwater.source_group.name IS 'Unique on its host while it is not removed.';
COMMENT ON COLUMN highwater.source_group.source IS 'command: the output of a program; directory: files as tar; restic: files by restic.';
COMMENT ON COLUMN highwater.source_group.command IS 'Of source command: the shell line whose output is the backup.';
COMMENT ON COLUMN highwater.source_group.includes IS 'Of the other sources: paths that are backed up.';
COMMENT ON COLUMN highwater.source_group.excludes IS 'Patterns that are left out.';
COMMENT ON COLUMN highwater.source_group.pre_hook IS 'Shell line that runs before; it decides: 75 skips quietly, other failures fail the job.';
COMMENT ON COLUMN highwater.source_group.post_hook IS 'Shell line that runs after, whenever the pre-hook was started; a failure is a warning.';
COMMENT ON COLUMN highwater.source_group.hook_timeout IS 'A hook that takes longer is ended.';
COMMENT ON COLUMN highwater.source_group.job_timeout IS 'A backup that takes longer is ended.';
COMMENT ON COLUMN highwater.source_group.repository IS 'Where it goes first; group_repository names all.';
COMMENT ON COLUMN highwater.source_group.rpo IS 'How old its last good backup may become; NULL: as the host says.';
COMMENT ON COLUMN highwater.source_group.keep_last IS 'Keep this many of the newest records; NULL: no such rule.';
COMMENT ON COLUMN highwater.source_group.keep_hourly IS 'Keep the newest record of each of the last so many hours that have one, in the host''s zone.';
COMMENT ON COLUMN highwater.source_group.keep_daily IS 'The same by days.';
COMMENT ON COLUMN highwater.source_group.keep_weekly IS 'The same by weeks, which begin on Monday.';
COMMENT ON COLUMN highwater.source_group.keep_monthly IS 'The same by months.';
COMMENT ON COLUMN highwater.source_group.keep_yearly IS 'The same by years.';
COMMENT ON COLUMN highwater.source_group.keep_min IS 'Never leave fewer complete records than this, pinned ones not counted.';
COMMENT ON COLUMN highwater.source_group.retry_max IS 'Further attempts after a failure.';
COMMENT ON COLUMN highwater.source_group.retry_base IS 'Pause before the first of them; it doubles each time.';
COMMENT ON COLUMN highwater.source_group.retry_cap IS 'Longest pause.';
COMMENT ON COLUMN highwater.source_group.created_at IS 'Database clock when it was added.';
COMMENT ON COLUMN highwater.source_group.removed_at IS 'When it was removed; its history stays. NULL: it is in use.';
COMMENT ON COLUMN highwater.source_group.rev IS 'Rises with every edit.';

CREATE TABLE highwater.group_repository (
  source_group uuid NOT NULL CONSTRAINT group_repository_source_group_exists REFERENCES highwater.source_group (id) ON DELETE CASCADE,
  repository uuid NOT NULL CONSTRAINT group_repository_repository_exists REFERENCES highwater.repository (id),
  PRIMARY KEY (source_group, repository)
);
COMMENT ON TABLE highwater.group_repository IS 'All repositories that a group goes to: one job for each slot and repository.';
COMMENT ON COLUMN highwater.group_repository.source_group IS 'The group.';
COMMENT ON COLUMN highwater.group_repository.repository IS 'One of its repositories.';

CREATE TABLE highwater.schedule (
  id uuid PRIMARY KEY DEFAULT highwater.uuid_v7(),
  tenant uuid NOT NULL,
  host uuid NOT NULL,
  cron text NOT NULL,
  tz text NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  catchup text NOT NULL DEFAULT 'one' CONSTRAINT schedule_catchup_is_known CHECK (catchup IN ('none', 'one', 'all')),
  catchup_window interval NOT NULL DEFAULT '7 days' CONSTRAINT schedule_catchup_window_is_not_negative CHECK (catchup_window >= '0'),
  settle interval NOT NULL DEFAULT '1 minute' CONSTRAINT schedule_settle_is_not_negative CHECK (settle >= '0'),
  jitter interval NOT NULL DEFAULT '0' CONSTRAINT schedule_jitter_is_not_negative CHECK (jitter >= '0'),
  overlap text NOT NULL DEFAULT 'skip' CONSTRAINT schedule_overlap_is_known CHECK (overlap IN ('skip', 'queue')),
  start_deadline interval CONSTRAINT schedule_start_deadline_is_positive CHECK (start_deadline > '0'),
  next_slot_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  removed_at timestamptz,
  rev bigint NOT NULL DEFAULT 1,
  CONSTRAINT schedule_host_exists FOREIGN KEY (tenant, host) REFERENCES highwater.host (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX schedule_host ON highwater.schedule (host);
CREATE INDEX schedule_next_slot ON highwater.schedule (next_slot_at) WHERE enabled AND removed_at IS NULL;
COMMENT ON INDEX highwater.schedule_next_slot IS 'Finds the schedules whose slot has come, however many there are.';
COMMENT ON TABLE highwater.schedule IS 'When groups of a host should be backed up.';
COMMENT ON COLUMN highwater.schedule.id IS 'UUIDv7.';
COMMENT ON COLUMN highwater.schedule.tenant IS 'That of its host.';
COMMENT ON COLUMN highwater.schedule.host IS 'The host that it is for.';
COMMENT ON COLUMN highwater.schedule.cron IS 'The expression, as it was written.';
COMMENT ON COLUMN highwater.schedule.tz IS 'IANA zone in which it is read.';
COMMENT ON COLUMN highwater.schedule.enabled IS 'Whether it makes slots.';
COMMENT ON COLUMN highwater.schedule.catchup IS 'Of missed slots: none runs, the latest one runs and covers the others, or all run.';
COMMENT ON COLUMN highwater.schedule.catchup_window IS 'Slots that were missed by more than this are not made up for.';
COMMENT ON COLUMN highwater.schedule.settle IS 'A host that has just woken is left alone for so long.';
COMMENT ON COLUMN highwater.schedule.jitter IS 'Starts are spread over this span, always the same way for one schedule.';
COMMENT ON COLUMN highwater.schedule.overlap IS 'When the group is still being backed up: skip the slot, or queue behind.';
COMMENT ON COLUMN highwater.schedule.start_deadline IS 'A run that could not start within this is given up; NULL: never.';
COMMENT ON COLUMN highwater.schedule.next_slot_at IS 'Next slot that is not on the ledger yet; NULL: none will come.';
COMMENT ON COLUMN highwater.schedule.created_at IS 'Database clock when it was added; slots begin after that.';
COMMENT ON COLUMN highwater.schedule.removed_at IS 'When it was removed; its history stays. NULL: it is in use.';
COMMENT ON COLUMN highwater.schedule.rev IS 'Rises with every edit.';

CREATE TABLE highwater.schedule_group (
  schedule uuid NOT NULL CONSTRAINT schedule_group_schedule_exists REFERENCES highwater.schedule (id) ON DELETE CASCADE,
  source_group uuid NOT NULL CONSTRAINT schedule_group_source_group_exists REFERENCES highwater.source_group (id) ON DELETE CASCADE,
  PRIMARY KEY (schedule, source_group)
);
CREATE INDEX schedule_group_source_group ON highwater.schedule_group (source_group);
COMMENT ON TABLE highwater.schedule_group IS 'Which groups a schedule is for.';
COMMENT ON COLUMN highwater.schedule_group.schedule IS 'The schedule.';
COMMENT ON COLUMN highwater.schedule_group.source_group IS 'A group of its host.';

CREATE TABLE highwater.schedule_progress (
  schedule uuid NOT NULL CONSTRAINT schedule_progress_schedule_exists REFERENCES highwater.schedule (id) ON DELETE CASCADE,
  source_group uuid NOT NULL CONSTRAINT schedule_progress_source_group_exists REFERENCES highwater.source_group (id) ON DELETE CASCADE,
  last_slot timestamptz,
  last_success_slot timestamptz,
  last_success_at timestamptz,
  consecutive_failures integer NOT NULL DEFAULT 0 CONSTRAINT schedule_progress_failures_are_counted CHECK (consecutive_failures >= 0),
  backoff_until timestamptz,
  PRIMARY KEY (schedule, source_group)
) WITH (fillfactor = 70);
COMMENT ON TABLE highwater.schedule_progress IS 'How far the slots of a schedule and group have come.';
COMMENT ON COLUMN highwater.schedule_progress.schedule IS 'The schedule.';
COMMENT ON COLUMN highwater.schedule_progress.source_group IS 'The group.';
COMMENT ON COLUMN highwater.schedule_progress.last_slot IS 'Newest slot that is on the ledger.';
COMMENT ON COLUMN highwater.schedule_progress.last_success_slot IS 'Newest slot whose backup is good; slots are plan times, so that no host''s clock can move this.';
COMMENT ON COLUMN highwater.schedule_progress.last_success_at IS 'When that backup ended.';
COMMENT ON COLUMN highwater.schedule_progress.consecutive_failures IS 'Attempts that failed since then.';
COMMENT ON COLUMN highwater.schedule_progress.backoff_until IS 'Nothing is caught up before this.';

CREATE TABLE highwater.catchup_arm (
  host uuid PRIMARY KEY CONSTRAINT catchup_arm_host_exists REFERENCES highwater.host (id) ON DELETE CASCADE,
  due_at timestamptz NOT NULL,
  boot_id text,
  armed_by text NOT NULL CONSTRAINT catchup_arm_armed_by_is_known CHECK (armed_by IN ('hello', 'sweep', 'manual')),
  tries integer NOT NULL DEFAULT 0 CONSTRAINT catchup_arm_tries_are_counted CHECK (tries >= 0),
  armed_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 70);
CREATE INDEX catchup_arm_due ON highwater.catchup_arm (due_at, host);
COMMENT ON TABLE highwater.catchup_arm IS 'A host that may have missed something and will be looked at.';
COMMENT ON COLUMN highwater.catchup_arm.host IS 'The host.';
COMMENT ON COLUMN highwater.catchup_arm.due_at IS 'When it will be looked at.';
COMMENT ON COLUMN highwater.catchup_arm.boot_id IS 'The boot that armed it.';
COMMENT ON COLUMN highwater.catchup_arm.armed_by IS 'hello, sweep or manual.';
COMMENT ON COLUMN highwater.catchup_arm.tries IS 'How often it was put off because the host was busy.';
COMMENT ON COLUMN highwater.catchup_arm.armed_at IS 'Database clock when it was armed last.';

CREATE TABLE highwater.pending_run (
  id uuid PRIMARY KEY DEFAULT highwater.uuid_v7(),
  tenant uuid NOT NULL,
  host uuid NOT NULL,
  schedule uuid CONSTRAINT pending_run_schedule_exists REFERENCES highwater.schedule (id),
  source_group uuid NOT NULL CONSTRAINT pending_run_source_group_exists REFERENCES highwater.source_group (id),
  slot_at timestamptz NOT NULL CONSTRAINT pending_run_slot_is_finite CHECK (isfinite(slot_at)),
  state text NOT NULL DEFAULT 'waiting' CONSTRAINT pending_run_state_is_known
    CHECK (state IN ('waiting', 'claimed', 'dispatched', 'abandoned', 'superseded', 'expired')),
  reason text NOT NULL CONSTRAINT pending_run_reason_is_known CHECK (reason IN ('cron', 'catchup', 'manual', 'retry')),
  not_before timestamptz NOT NULL DEFAULT clock_timestamp(),
  attempt integer NOT NULL DEFAULT 1 CONSTRAINT pending_run_attempt_is_positive CHECK (attempt >= 1),
  lease_until timestamptz,
  job uuid,
  why text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT pending_run_host_exists FOREIGN KEY (tenant, host) REFERENCES highwater.host (tenant, id),
  CONSTRAINT pending_run_is_unique UNIQUE (schedule, source_group, slot_at),
  CONSTRAINT pending_run_end_has_a_reason CHECK (state NOT IN ('abandoned', 'superseded', 'expired') OR why IS NOT NULL)
) WITH (fillfactor = 85);
CREATE INDEX pending_run_due ON highwater.pending_run (not_before, id) WHERE state IN ('waiting', 'claimed');
COMMENT ON INDEX highwater.pending_run_due IS 'What waits to be dispatched; stays as small as the backlog.';
CREATE INDEX pending_run_open ON highwater.pending_run (host, source_group) WHERE state IN ('waiting', 'claimed');
COMMENT ON INDEX highwater.pending_run_open IS 'Whether a group of a host has a run that waits.';
COMMENT ON TABLE highwater.pending_run IS 'A run that is owed: of a slot, of a catch-up, or asked for by hand.';
COMMENT ON COLUMN highwater.pending_run.id IS 'UUIDv7.';
COMMENT ON COLUMN highwater.pending_run.tenant IS 'That of its host.';
COMMENT ON COLUMN highwater.pending_run.host IS 'The host that is to run it.';
COMMENT ON COLUMN highwater.pending_run.schedule IS 'The schedule that owes it; NULL: asked for by hand.';
COMMENT ON COLUMN highwater.pending_run.source_group IS 'The group.';
COMMENT ON COLUMN highwater.pending_run.slot_at IS 'The slot that it is for; of a run asked for by hand, when it was asked for.';
COMMENT ON COLUMN highwater.pending_run.state IS 'waiting, claimed, dispatched, abandoned, superseded or expired; see docs/DATA_MODEL.md.';
COMMENT ON COLUMN highwater.pending_run.reason IS 'cron, catchup, manual or retry.';
COMMENT ON COLUMN highwater.pending_run.not_before IS 'It is not dispatched before this.';
COMMENT ON COLUMN highwater.pending_run.attempt IS 'Number of the attempt that it waits for, from 1.';
COMMENT ON COLUMN highwater.pending_run.lease_until IS 'While claimed: until when nobody else may dispatch it.';
COMMENT ON COLUMN highwater.pending_run.job IS 'The newest job that came of it.';
COMMENT ON COLUMN highwater.pending_run.why IS 'Why it was made, or why it will never run.';
COMMENT ON COLUMN highwater.pending_run.created_at IS 'Database clock when it was written.';

CREATE TABLE highwater.backup_job (
  id uuid PRIMARY KEY DEFAULT highwater.uuid_v7(),
  tenant uuid NOT NULL,
  host uuid NOT NULL,
  source_group uuid CONSTRAINT backup_job_source_group_exists REFERENCES highwater.source_group (id),
  repository uuid CONSTRAINT backup_job_repository_exists REFERENCES highwater.repository (id),
  schedule uuid CONSTRAINT backup_job_schedule_exists REFERENCES highwater.schedule (id),
  pending_run uuid CONSTRAINT backup_job_pending_run_exists REFERENCES highwater.pending_run (id),
  kind text NOT NULL DEFAULT 'backup' CONSTRAINT backup_job_kind_is_known CHECK (kind IN ('backup', 'prune', 'verify', 'restore')),
  reason text CONSTRAINT backup_job_reason_is_known CHECK (reason IN ('cron', 'catchup', 'manual', 'retry')),
  slot_at timestamptz CONSTRAINT backup_job_slot_is_finite CHECK (isfinite(slot_at)),
  attempt integer NOT NULL DEFAULT 1 CONSTRAINT backup_job_attempt_is_positive CHECK (attempt >= 1),
  retry_of uuid CONSTRAINT backup_job_retry_of_exists REFERENCES highwater.backup_job (id),
  state text NOT NULL CONSTRAINT backup_job_state_is_known
    CHECK (state IN ('queued', 'dispatched', 'running', 'lost', 'succeeded', 'warned', 'failed', 'cancelled', 'timed_out',
                     'interrupted', 'skipped', 'missed')),
  outcome text GENERATED ALWAYS AS (
    CASE WHEN state IN ('succeeded', 'warned') THEN 'good'
         WHEN state IN ('failed', 'timed_out', 'interrupted') THEN 'bad'
         WHEN state IN ('cancelled', 'skipped', 'missed') THEN 'none' END) STORED,
  is_inferred boolean NOT NULL DEFAULT false,
  has_conflict boolean NOT NULL DEFAULT false,
  error_class text,
  error text,
  lease_token bigint,
  lease_until timestamptz,
  opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  queued_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  reported_at timestamptz,
  counted_at timestamptz GENERATED ALWAYS AS (coalesce(finished_at, slot_at)) STORED,
  bytes_total bigint CONSTRAINT backup_job_bytes_total_is_not_negative CHECK (bytes_total >= 0),
  bytes_added bigint CONSTRAINT backup_job_bytes_added_is_not_negative CHECK (bytes_added >= 0),
  files bigint CONSTRAINT backup_job_files_is_not_negative CHECK (files >= 0),
  progress_bytes bigint CONSTRAINT backup_job_progress_bytes_is_not_negative CHECK (progress_bytes >= 0),
  progress_total_bytes bigint CONSTRAINT backup_job_progress_total_bytes_is_not_negative CHECK (progress_total_bytes >= 0),
  progress_files bigint CONSTRAINT backup_job_progress_files_is_not_negative CHECK (progress_files >= 0),
  progress_at timestamptz,
  cancel_requested_at timestamptz,
  opened_by bigint[],
  started_by bigint[],
  progress_by bigint[],
  ended_by bigint[],
  rev bigint NOT NULL DEFAULT 1,
  CONSTRAINT backup_job_host_exists FOREIGN KEY (tenant, host) REFERENCES highwater.host (tenant, id),
  CONSTRAINT backup_job_is_unique UNIQUE (pending_run, repository, attempt),
  CONSTRAINT backup_job_lease_is_whole CHECK ((lease_token IS NULL) = (lease_until IS NULL)),
  CONSTRAINT backup_job_ends_at_a_time CHECK ((finished_at IS NOT NULL) = (ended_by IS NOT NULL)),
  CONSTRAINT backup_job_end_is_an_end CHECK (
    (ended_by IS NOT NULL) = (state IN ('succeeded', 'warned', 'failed', 'cancelled', 'timed_out', 'interrupted', 'skipped', 'missed')))
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX backup_job_counted ON highwater.backup_job (tenant, counted_at);
COMMENT ON INDEX highwater.backup_job_counted IS 'For drains: one bucket of one tenant.';
CREATE INDEX backup_job_counted_brin ON highwater.backup_job USING brin (counted_at);
COMMENT ON INDEX highwater.backup_job_counted_brin IS 'For backfills: one month.';
CREATE INDEX backup_job_listed ON highwater.backup_job (state, opened_at, id);
CREATE INDEX backup_job_listed_of_tenant ON highwater.backup_job (tenant, state, opened_at, id);
CREATE INDEX backup_job_listed_of_host ON highwater.backup_job (host, state, opened_at, id);
COMMENT ON INDEX highwater.backup_job_listed IS 'Lists are merged from one range of this or of the next two for each state, newest first.';
CREATE INDEX backup_job_of_group ON highwater.backup_job (source_group, slot_at);
COMMENT ON INDEX highwater.backup_job_of_group IS 'Whether a group has an open job, how often it failed, and what ran for a slot.';
CREATE INDEX backup_job_leased ON highwater.backup_job (lease_until) WHERE state IN ('dispatched', 'running');
COMMENT ON INDEX highwater.backup_job_leased IS 'For the sweep: leases that have run out.';
CREATE INDEX backup_job_retry_of ON highwater.backup_job (retry_of) WHERE retry_of IS NOT NULL;
COMMENT ON TABLE highwater.backup_job IS 'One attempt of one group to one repository. Merged from reports, which may come in any order and more than once.';
COMMENT ON COLUMN highwater.backup_job.id IS 'UUIDv7, made by the server or by a host that began by itself.';
COMMENT ON COLUMN highwater.backup_job.tenant IS 'That of its host.';
COMMENT ON COLUMN highwater.backup_job.host IS 'Where it runs.';
COMMENT ON COLUMN highwater.backup_job.source_group IS 'What is backed up; NULL until a report says it.';
COMMENT ON COLUMN highwater.backup_job.repository IS 'Where to; NULL until a report says it.';
COMMENT ON COLUMN highwater.backup_job.schedule IS 'The schedule whose slot it is for; NULL: by hand.';
COMMENT ON COLUMN highwater.backup_job.pending_run IS 'The owed run that it answers; NULL: the host began by itself.';
COMMENT ON COLUMN highwater.backup_job.kind IS 'backup, prune, verify or restore.';
COMMENT ON COLUMN highwater.backup_job.reason IS 'cron, catchup, manual or retry.';
COMMENT ON COLUMN highwater.backup_job.slot_at IS 'The slot that it is for; of a job by hand, when it was asked for.';
COMMENT ON COLUMN highwater.backup_job.attempt IS 'From 1.';
COMMENT ON COLUMN highwater.backup_job.retry_of IS 'The attempt before it.';
COMMENT ON COLUMN highwater.backup_job.state IS 'Where it stands; see docs/DATA_MODEL.md.';
COMMENT ON COLUMN highwater.backup_job.outcome IS 'good: there is a backup; bad: there should be one and is not; none: there was none to be. NULL while it is open.';
COMMENT ON COLUMN highwater.backup_job.is_inferred IS 'Whether its end was concluded by the server; a report takes precedence.';
COMMENT ON COLUMN highwater.backup_job.has_conflict IS 'Whether two different ends were reported; job_event has both.';
COMMENT ON COLUMN highwater.backup_job.error_class IS 'What kind of thing went wrong.';
COMMENT ON COLUMN highwater.backup_job.error IS 'What went wrong.';
COMMENT ON COLUMN highwater.backup_job.lease_token IS 'Token of the dispatch; tokens only rise.';
COMMENT ON COLUMN highwater.backup_job.lease_until IS 'Until when the host is trusted to be at work.';
COMMENT ON COLUMN highwater.backup_job.opened_at IS 'When it is first heard of: database clock, or the least time that its reports carry. Lists are in this order.';
COMMENT ON COLUMN highwater.backup_job.queued_at IS 'When it was made ready to run.';
COMMENT ON COLUMN highwater.backup_job.started_at IS 'Host''s time, corrected, when it began.';
COMMENT ON COLUMN highwater.backup_job.finished_at IS 'Host''s time, corrected, when it ended; database clock where the end was inferred.';
COMMENT ON COLUMN highwater.backup_job.reported_at IS 'Greatest corrected time that its reports carry.';
COMMENT ON COLUMN highwater.backup_job.counted_at IS 'The hour in which it is counted: when it ended, and until then its slot.';
COMMENT ON COLUMN highwater.backup_job.bytes_total IS 'Bytes of the backup.';
COMMENT ON COLUMN highwater.backup_job.bytes_added IS 'Bytes that it added to the repository.';
COMMENT ON COLUMN highwater.backup_job.files IS 'Files in it.';
COMMENT ON COLUMN highwater.backup_job.progress_bytes IS 'Bytes done, by the newest report.';
COMMENT ON COLUMN highwater.backup_job.progress_total_bytes IS 'Bytes to do, by the newest report.';
COMMENT ON COLUMN highwater.backup_job.progress_files IS 'Files done, by the newest report.';
COMMENT ON COLUMN highwater.backup_job.progress_at IS 'Corrected time of that report.';
COMMENT ON COLUMN highwater.backup_job.cancel_requested_at IS 'When someone asked that it be ended.';
COMMENT ON COLUMN highwater.backup_job.opened_by IS 'Stamp [rank, kind, -epoch, -seq] of the report that named group, schedule and slot; the greatest stamp wins. Empty: the server made the job.';
COMMENT ON COLUMN highwater.backup_job.started_by IS 'The same of started_at.';
COMMENT ON COLUMN highwater.backup_job.progress_by IS '[epoch, seq] of the report of progress; here the newest wins.';
COMMENT ON COLUMN highwater.backup_job.ended_by IS 'Stamp of the end, and of everything that it says.';
COMMENT ON COLUMN highwater.backup_job.rev IS 'Rises when a person or the server changes it; reports leave it.';
ALTER TABLE highwater.pending_run ADD CONSTRAINT pending_run_job_exists FOREIGN KEY (job) REFERENCES highwater.backup_job (id);

CREATE SEQUENCE highwater.dispatch_token;
COMMENT ON SEQUENCE highwater.dispatch_token IS 'Tokens of dispatched backup jobs: a later dispatch has a higher one.';

CREATE TABLE highwater.run_slot (
  schedule uuid NOT NULL CONSTRAINT run_slot_schedule_exists REFERENCES highwater.schedule (id),
  source_group uuid NOT NULL CONSTRAINT run_slot_source_group_exists REFERENCES highwater.source_group (id),
  slot_at timestamptz NOT NULL CONSTRAINT run_slot_is_finite CHECK (isfinite(slot_at)),
  tenant uuid NOT NULL,
  host uuid NOT NULL,
  job uuid CONSTRAINT run_slot_job_exists REFERENCES highwater.backup_job (id),
  how text NOT NULL CONSTRAINT run_slot_how_is_known CHECK (how IN ('ran', 'covered', 'missed', 'skipped')),
  why text,
  PRIMARY KEY (schedule, source_group, slot_at),
  CONSTRAINT run_slot_host_exists FOREIGN KEY (tenant, host) REFERENCES highwater.host (tenant, id),
  CONSTRAINT run_slot_ran_has_a_job CHECK (how <> 'ran' OR job IS NOT NULL),
  CONSTRAINT run_slot_absence_has_a_reason CHECK (how NOT IN ('missed', 'skipped') OR why IS NOT NULL)
) WITH (fillfactor = 90);
CREATE INDEX run_slot_counted ON highwater.run_slot (tenant, slot_at);
COMMENT ON INDEX highwater.run_slot_counted IS 'For drains: one bucket of one tenant; and for lists of a tenant.';
CREATE INDEX run_slot_listed_of_host ON highwater.run_slot (host, slot_at, schedule, source_group);
COMMENT ON INDEX highwater.run_slot_listed_of_host IS 'For lists of a host, newest first.';
CREATE INDEX run_slot_job ON highwater.run_slot (job) WHERE job IS NOT NULL;
COMMENT ON INDEX highwater.run_slot_job IS 'Which slots a job ran for or covered.';
COMMENT ON TABLE highwater.run_slot IS 'One row for each expected slot: the truth about "is this backed up as promised".';
COMMENT ON COLUMN highwater.run_slot.schedule IS 'The schedule that promised it.';
COMMENT ON COLUMN highwater.run_slot.source_group IS 'The group that it was promised for.';
COMMENT ON COLUMN highwater.run_slot.slot_at IS 'The promised time.';
COMMENT ON COLUMN highwater.run_slot.tenant IS 'That of its host.';
COMMENT ON COLUMN highwater.run_slot.host IS 'The host.';
COMMENT ON COLUMN highwater.run_slot.job IS 'The job that ran for it or covers it.';
COMMENT ON COLUMN highwater.run_slot.how IS 'ran, covered, missed or skipped; see docs/DATA_MODEL.md.';
COMMENT ON COLUMN highwater.run_slot.why IS 'Why it was missed or skipped.';

CREATE TABLE highwater.job_step (
  job uuid NOT NULL CONSTRAINT job_step_job_exists REFERENCES highwater.backup_job (id) ON DELETE CASCADE,
  name text NOT NULL,
  ordinal integer,
  action text NOT NULL,
  condition text,
  state text NOT NULL CONSTRAINT job_step_state_is_known
    CHECK (state IN ('pending', 'running', 'succeeded', 'warned', 'failed', 'skipped')),
  exit_code integer,
  reason text,
  started_at timestamptz,
  finished_at timestamptz,
  log_tail text CONSTRAINT job_step_log_tail_is_bounded CHECK (octet_length(log_tail) <= 65536),
  started_by bigint[],
  ended_by bigint[],
  PRIMARY KEY (job, name)
) WITH (fillfactor = 85);
COMMENT ON TABLE highwater.job_step IS 'One action of a job.';
COMMENT ON COLUMN highwater.job_step.job IS 'The job.';
COMMENT ON COLUMN highwater.job_step.name IS 'Name of the action with its parameter, unique in the job.';
COMMENT ON COLUMN highwater.job_step.ordinal IS 'Place in the plan of the run; NULL where it is known from reports alone.';
COMMENT ON COLUMN highwater.job_step.action IS 'Name of the action without its parameter.';
COMMENT ON COLUMN highwater.job_step.condition IS 'What must hold for it to run; NULL: nothing.';
COMMENT ON COLUMN highwater.job_step.state IS 'pending, running, succeeded, warned, failed or skipped; see docs/DATA_MODEL.md.';
COMMENT ON COLUMN highwater.job_step.exit_code IS 'Exit code of its program.';
COMMENT ON COLUMN highwater.job_step.reason IS 'Why it was skipped.';
COMMENT ON COLUMN highwater.job_step.started_at IS 'Host''s time, corrected.';
COMMENT ON COLUMN highwater.job_step.finished_at IS 'Host''s time, corrected.';
COMMENT ON COLUMN highwater.job_step.log_tail IS 'End of what it printed, at most 64 KiB.';
COMMENT ON COLUMN highwater.job_step.started_by IS 'Stamp of the report of its start, as in backup_job.';
COMMENT ON COLUMN highwater.job_step.ended_by IS 'Stamp of the report of its end.';

CREATE TABLE highwater.job_step_edge (
  job uuid NOT NULL CONSTRAINT job_step_edge_job_exists REFERENCES highwater.backup_job (id) ON DELETE CASCADE,
  "from" text NOT NULL,
  "to" text NOT NULL,
  kind text NOT NULL CONSTRAINT job_step_edge_kind_is_known CHECK (kind IN ('needs', 'after')),
  PRIMARY KEY (job, "from", "to")
);
COMMENT ON TABLE highwater.job_step_edge IS 'Which action of a job waits for which.';
COMMENT ON COLUMN highwater.job_step_edge.job IS 'The job.';
COMMENT ON COLUMN highwater.job_step_edge."from" IS 'The action that waits.';
COMMENT ON COLUMN highwater.job_step_edge."to" IS 'The action that it waits for.';
COMMENT ON COLUMN highwater.job_step_edge.kind IS 'needs: only if that succeeded; after: even if it failed or was skipped.';

CREATE TABLE highwater.job_event (
  host uuid NOT NULL CONSTRAINT job_event_host_exists REFERENCES highwater.host (id),
  epoch bigint NOT NULL CONSTRAINT job_event_epoch_is_not_negative CHECK (epoch >= 0),
  seq bigint NOT NULL CONSTRAINT job_event_seq_is_not_negative CHECK (seq >= 0),
  event_id uuid NOT NULL,
  job uuid,
  kind text NOT NULL CONSTRAINT job_event_kind_is_known
    CHECK (kind IN ('job.opened', 'job.started', 'job.progress', 'step.started', 'step.finished', 'record.underway',
                    'record.published', 'job.finished', 'slot.missed', 'slot.skipped')),
  event_at timestamptz NOT NULL,
  raw_event_at timestamptz NOT NULL,
  is_clamped boolean NOT NULL DEFAULT false,
  boot_id text,
  mono_ms bigint,
  skew_ms bigint,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  is_conflict boolean NOT NULL DEFAULT false,
  body_sha256 bytea NOT NULL CONSTRAINT job_event_body_is_hashed CHECK (octet_length(body_sha256) = 32),
  payload jsonb NOT NULL,
  PRIMARY KEY (host, epoch, seq),
  CONSTRAINT job_event_is_unique UNIQUE (host, event_id)
);
CREATE INDEX job_event_job ON highwater.job_event (job, epoch, seq);
COMMENT ON INDEX highwater.job_event_job IS 'The timeline of a job.';
COMMENT ON TABLE highwater.job_event IS 'Reports as hosts sent them; append only.';
COMMENT ON COLUMN highwater.job_event.host IS 'Who reported.';
COMMENT ON COLUMN highwater.job_event.epoch IS 'Durable start counter of the agent.';
COMMENT ON COLUMN highwater.job_event.seq IS 'Number of the report within the outbox; never the clock''s order.';
COMMENT ON COLUMN highwater.job_event.event_id IS 'Chosen by the host; unique for it, so that a repeated report is harmless and no host can take another''s.';
COMMENT ON COLUMN highwater.job_event.job IS 'The job it speaks of; NULL: of a slot without a job.';
COMMENT ON COLUMN highwater.job_event.kind IS 'What is reported.';
COMMENT ON COLUMN highwater.job_event.event_at IS 'Corrected time: raw_event_at minus skew_ms, else the boot''s zero plus mono_ms where that boot has said hello, else raw_event_at; never derived from when the report arrived.';
COMMENT ON COLUMN highwater.job_event.raw_event_at IS 'The time that the host wrote.';
COMMENT ON COLUMN highwater.job_event.is_clamped IS 'Whether the time lay more than five minutes beyond receipt and was set to the moment of receipt.';
COMMENT ON COLUMN highwater.job_event.boot_id IS 'Opaque name of the boot in which it was written.';
COMMENT ON COLUMN highwater.job_event.mono_ms IS 'Milliseconds since that boot.';
COMMENT ON COLUMN highwater.job_event.skew_ms IS 'Milliseconds by which the host knew its clock to be ahead when it wrote this.';
COMMENT ON COLUMN highwater.job_event.received_at IS 'Database clock when it arrived first.';
COMMENT ON COLUMN highwater.job_event.is_conflict IS 'Whether it contradicts another report.';
COMMENT ON COLUMN highwater.job_event.body_sha256 IS 'SHA-256 of the report.';
COMMENT ON COLUMN highwater.job_event.payload IS 'What it says.';

CREATE TABLE highwater.backup_record (
  id uuid PRIMARY KEY,
  tenant uuid NOT NULL,
  host uuid NOT NULL,
  job uuid CONSTRAINT backup_record_is_of_one_job UNIQUE CONSTRAINT backup_record_job_exists REFERENCES highwater.backup_job (id),
  repository uuid CONSTRAINT backup_record_repository_exists REFERENCES highwater.repository (id),
  source_group uuid CONSTRAINT backup_record_source_group_exists REFERENCES highwater.source_group (id),
  state text NOT NULL CONSTRAINT backup_record_state_is_known
    CHECK (state IN ('underway', 'complete', 'failed', 'pruning', 'pruned', 'missing', 'corrupt')),
  has_conflict boolean NOT NULL DEFAULT false,
  snapshot text,
  bytes_total bigint CONSTRAINT backup_record_bytes_total_is_not_negative CHECK (bytes_total >= 0),
  bytes_added bigint CONSTRAINT backup_record_bytes_added_is_not_negative CHECK (bytes_added >= 0),
  sha256 text,
  started_at timestamptz,
  finished_at timestamptz,
  kept_at timestamptz GENERATED ALWAYS AS (coalesce(finished_at, started_at)) STORED,
  pinned boolean NOT NULL DEFAULT false,
  verify_requested_at timestamptz,
  verified_at timestamptz,
  verify_result text,
  prune_reason text,
  started_by bigint[],
  ended_by bigint[],
  rev bigint NOT NULL DEFAULT 1,
  CONSTRAINT backup_record_host_exists FOREIGN KEY (tenant, host) REFERENCES highwater.host (tenant, id),
  CONSTRAINT backup_record_has_a_time CHECK (started_at IS NOT NULL OR finished_at IS NOT NULL),
  CONSTRAINT backup_record_prune_has_a_reason CHECK (state NOT IN ('pruning', 'pruned') OR prune_reason IS NOT NULL)
) WITH (fillfactor = 85);
CREATE INDEX backup_record_of_group ON highwater.backup_record (source_group, kept_at, id);
COMMENT ON INDEX highwater.backup_record_of_group IS 'For retention and lists of a group, newest first.';
CREATE INDEX backup_record_of_host ON highwater.backup_record (host, kept_at, id);
CREATE INDEX backup_record_of_tenant ON highwater.backup_record (tenant, kept_at, id);
COMMENT ON TABLE highwater.backup_record IS 'One archive: underway before its first byte, complete only after it was published.';
COMMENT ON COLUMN highwater.backup_record.id IS 'The archive''s id, in its manifest and its name too.';
COMMENT ON COLUMN highwater.backup_record.tenant IS 'That of its host.';
COMMENT ON COLUMN highwater.backup_record.host IS 'The host that made it.';
COMMENT ON COLUMN highwater.backup_record.job IS 'The job that made it; NULL: it was found in the repository and adopted.';
COMMENT ON COLUMN highwater.backup_record.repository IS 'Where it is; that of its job.';
COMMENT ON COLUMN highwater.backup_record.source_group IS 'What is in it; that of its job.';
COMMENT ON COLUMN highwater.backup_record.state IS 'Where it stands; see docs/DATA_MODEL.md.';
COMMENT ON COLUMN highwater.backup_record.has_conflict IS 'Whether it was published twice with different digests; job_event has both reports.';
COMMENT ON COLUMN highwater.backup_record.snapshot IS 'The name that the destination gave it.';
COMMENT ON COLUMN highwater.backup_record.bytes_total IS 'Bytes of the backup.';
COMMENT ON COLUMN highwater.backup_record.bytes_added IS 'Bytes that it added to the repository.';
COMMENT ON COLUMN highwater.backup_record.sha256 IS 'Digest of what is stored, in hexadecimal.';
COMMENT ON COLUMN highwater.backup_record.started_at IS 'Host''s time, corrected, before the first byte.';
COMMENT ON COLUMN highwater.backup_record.finished_at IS 'Host''s time, corrected, when it was published.';
COMMENT ON COLUMN highwater.backup_record.kept_at IS 'The time by which retention counts it.';
COMMENT ON COLUMN highwater.backup_record.pinned IS 'Kept whatever the rules say, and not counted by them.';
COMMENT ON COLUMN highwater.backup_record.verify_requested_at IS 'When someone asked its host to verify it; NULL: nobody waits.';
COMMENT ON COLUMN highwater.backup_record.verified_at IS 'When it was last verified.';
COMMENT ON COLUMN highwater.backup_record.verify_result IS 'What that said.';
COMMENT ON COLUMN highwater.backup_record.prune_reason IS 'By which rule it went.';
COMMENT ON COLUMN highwater.backup_record.started_by IS 'Stamp of the report of its beginning, as in backup_job.';
COMMENT ON COLUMN highwater.backup_record.ended_by IS 'Stamp of the report of its publication.';
COMMENT ON COLUMN highwater.backup_record.rev IS 'Rises when a person or the server changes it; reports leave it.';

CREATE TABLE highwater.idempotency_key (
  host uuid NOT NULL CONSTRAINT idempotency_key_host_exists REFERENCES highwater.host (id) ON DELETE CASCADE,
  key text NOT NULL,
  request_sha256 bytea NOT NULL CONSTRAINT idempotency_key_request_is_hashed CHECK (octet_length(request_sha256) = 32),
  status integer CONSTRAINT idempotency_key_status_is_http CHECK (status BETWEEN 100 AND 599),
  response jsonb,
  state text NOT NULL DEFAULT 'started' CONSTRAINT idempotency_key_state_is_known CHECK (state IN ('started', 'done')),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL DEFAULT clock_timestamp() + interval '30 days',
  PRIMARY KEY (host, key),
  CONSTRAINT idempotency_key_done_has_an_answer CHECK (state <> 'done' OR status IS NOT NULL)
);
CREATE INDEX idempotency_key_expires ON highwater.idempotency_key (expires_at);
COMMENT ON TABLE highwater.idempotency_key IS 'Requests whose effect must happen once; written in the transaction of the effect.';
COMMENT ON COLUMN highwater.idempotency_key.host IS 'Who asked.';
COMMENT ON COLUMN highwater.idempotency_key.key IS 'Chosen by the asker.';
COMMENT ON COLUMN highwater.idempotency_key.request_sha256 IS 'SHA-256 of the request: the same key with another body is an error.';
COMMENT ON COLUMN highwater.idempotency_key.status IS 'HTTP status that was answered.';
COMMENT ON COLUMN highwater.idempotency_key.response IS 'Body that was answered.';
COMMENT ON COLUMN highwater.idempotency_key.state IS 'started or done.';
COMMENT ON COLUMN highwater.idempotency_key.created_at IS 'Database clock when it was written.';
COMMENT ON COLUMN highwater.idempotency_key.expires_at IS 'It is forgotten afterwards.';

CREATE TABLE highwater.alarm (
  id uuid PRIMARY KEY DEFAULT highwater.uuid_v7(),
  tenant uuid CONSTRAINT alarm_tenant_exists REFERENCES highwater.tenant (id),
  host uuid CONSTRAINT alarm_host_exists REFERENCES highwater.host (id),
  source_group uuid CONSTRAINT alarm_source_group_exists REFERENCES highwater.source_group (id),
  job uuid CONSTRAINT alarm_job_exists REFERENCES highwater.backup_job (id),
  kind text NOT NULL CONSTRAINT alarm_kind_is_known
    CHECK (kind IN ('failed', 'warned', 'missed', 'over_rpo', 'drift', 'conflict', 'clock')),
  subject text NOT NULL,
  state text NOT NULL DEFAULT 'raised' CONSTRAINT alarm_state_is_known CHECK (state IN ('raised', 'acknowledged', 'resolved')),
  message text NOT NULL,
  times bigint NOT NULL DEFAULT 1 CONSTRAINT alarm_times_are_counted CHECK (times >= 1),
  raised_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  acknowledged_at timestamptz,
  acknowledged_by text,
  resolved_at timestamptz,
  CONSTRAINT alarm_resolves_at_a_time CHECK ((resolved_at IS NOT NULL) = (state = 'resolved')),
  CONSTRAINT alarm_acknowledgement_is_whole CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
  CONSTRAINT alarm_acknowledged_has_a_time CHECK (state <> 'acknowledged' OR acknowledged_at IS NOT NULL)
);
CREATE UNIQUE INDEX alarm_is_open_once ON highwater.alarm (tenant, kind, subject) NULLS NOT DISTINCT WHERE state <> 'resolved';
COMMENT ON INDEX highwater.alarm_is_open_once IS 'One open alarm for one thing, however often it happens.';
CREATE INDEX alarm_listed ON highwater.alarm (raised_at, id);
CREATE INDEX alarm_listed_of_tenant ON highwater.alarm (tenant, raised_at, id);
COMMENT ON TABLE highwater.alarm IS 'Something that a person should know.';
COMMENT ON COLUMN highwater.alarm.id IS 'UUIDv7.';
COMMENT ON COLUMN highwater.alarm.tenant IS 'Whom it concerns; NULL: whoever runs highwater.';
COMMENT ON COLUMN highwater.alarm.host IS 'The host that it is about.';
COMMENT ON COLUMN highwater.alarm.source_group IS 'The group that it is about.';
COMMENT ON COLUMN highwater.alarm.job IS 'The newest job that raised it.';
COMMENT ON COLUMN highwater.alarm.kind IS 'failed, warned, missed, over_rpo, drift, conflict or clock.';
COMMENT ON COLUMN highwater.alarm.subject IS 'What it is about: with tenant and kind the key under which it is raised once.';
COMMENT ON COLUMN highwater.alarm.state IS 'raised, acknowledged or resolved; see docs/DATA_MODEL.md.';
COMMENT ON COLUMN highwater.alarm.message IS 'One sentence for people.';
COMMENT ON COLUMN highwater.alarm.times IS 'How often it happened while it was open.';
COMMENT ON COLUMN highwater.alarm.raised_at IS 'Database clock when it was raised.';
COMMENT ON COLUMN highwater.alarm.last_at IS 'Database clock when it happened last.';
COMMENT ON COLUMN highwater.alarm.acknowledged_at IS 'When a person took notice.';
COMMENT ON COLUMN highwater.alarm.acknowledged_by IS 'Who that was.';
COMMENT ON COLUMN highwater.alarm.resolved_at IS 'When it was over.';

CREATE TABLE highwater.alarm_channel (
  id uuid PRIMARY KEY DEFAULT highwater.uuid_v7(),
  tenant uuid CONSTRAINT alarm_channel_tenant_exists REFERENCES highwater.tenant (id) ON DELETE CASCADE,
  name text NOT NULL CONSTRAINT alarm_channel_name_is_short CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
  kind text NOT NULL CONSTRAINT alarm_channel_kind_is_known CHECK (kind IN ('webhook', 'smtp')),
  url text NOT NULL,
  sender text,
  recipients text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT alarm_channel_is_unique UNIQUE NULLS NOT DISTINCT (tenant, name),
  CONSTRAINT alarm_channel_mail_has_addresses CHECK ((kind = 'smtp') = (sender IS NOT NULL AND cardinality(recipients) > 0))
);
COMMENT ON TABLE highwater.alarm_channel IS 'Where alarms are told.';
COMMENT ON COLUMN highwater.alarm_channel.id IS 'UUIDv7.';
COMMENT ON COLUMN highwater.alarm_channel.tenant IS 'Whose alarms go there; NULL: those of all, and those of none.';
COMMENT ON COLUMN highwater.alarm_channel.name IS 'As people write it, unique within its tenant.';
COMMENT ON COLUMN highwater.alarm_channel.kind IS 'webhook: a POST of JSON; smtp: a mail.';
COMMENT ON COLUMN highwater.alarm_channel.url IS 'https://… or smtp://…; a password is named as an environment variable of the worker, not written here.';
COMMENT ON COLUMN highwater.alarm_channel.sender IS 'Of smtp: the address that mails come from.';
COMMENT ON COLUMN highwater.alarm_channel.recipients IS 'Of smtp: the addresses that they go to.';
COMMENT ON COLUMN highwater.alarm_channel.created_at IS 'Database clock when it was added.';

CREATE TABLE highwater.alarm_delivery (
  alarm uuid NOT NULL CONSTRAINT alarm_delivery_alarm_exists REFERENCES highwater.alarm (id) ON DELETE CASCADE,
  channel uuid NOT NULL CONSTRAINT alarm_delivery_channel_exists REFERENCES highwater.alarm_channel (id) ON DELETE CASCADE,
  event text NOT NULL CONSTRAINT alarm_delivery_event_is_known CHECK (event IN ('raised', 'resolved')),
  state text NOT NULL DEFAULT 'waiting' CONSTRAINT alarm_delivery_state_is_known CHECK (state IN ('waiting', 'delivered', 'failed')),
  attempts integer NOT NULL DEFAULT 0 CONSTRAINT alarm_delivery_attempts_are_counted CHECK (attempts >= 0),
  next_try_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  delivered_at timestamptz,
  error text,
  PRIMARY KEY (alarm, channel, event),
  CONSTRAINT alarm_delivery_delivered_has_a_time CHECK ((delivered_at IS NOT NULL) = (state = 'delivered'))
) WITH (fillfactor = 85);
CREATE INDEX alarm_delivery_due ON highwater.alarm_delivery (next_try_at) WHERE state = 'waiting';
COMMENT ON TABLE highwater.alarm_delivery IS 'One telling of an alarm to a channel.';
COMMENT ON COLUMN highwater.alarm_delivery.alarm IS 'The alarm.';
COMMENT ON COLUMN highwater.alarm_delivery.channel IS 'Where it is told.';
COMMENT ON COLUMN highwater.alarm_delivery.event IS 'raised or resolved.';
COMMENT ON COLUMN highwater.alarm_delivery.state IS 'waiting, delivered or failed; see docs/DATA_MODEL.md.';
COMMENT ON COLUMN highwater.alarm_delivery.attempts IS 'How often it was tried.';
COMMENT ON COLUMN highwater.alarm_delivery.next_try_at IS 'When it is tried next, while it waits.';
COMMENT ON COLUMN highwater.alarm_delivery.delivered_at IS 'When it was taken.';
COMMENT ON COLUMN highwater.alarm_delivery.error IS 'Why the last try failed.';
