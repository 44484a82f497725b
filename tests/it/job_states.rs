//! States of the job wing are told three times, in a CHECK, in Rust and in the documents; they must be the same.

use std::collections::BTreeSet;

use highwater::ground::wire::fact::Fact;
use highwater::ground::wire::state::{JobKind, Reason, StepState};
use highwater::job::state::{AlarmState, DeliveryState, HostState, How, JobState, RecordState, RunState};
use highwater::job::{alarm, channel};

use crate::rollup::field;

fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> BTreeSet<&'static str> {
    all.iter().map(|one| word(*one)).collect()
}

/// First cells of the table under a heading.
fn documented(heading: &str) -> BTreeSet<&'static str> {
    let page = include_str!("../../docs/DATA_MODEL.md");
    let section = page.split(&format!("### {heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n#").next().unwrap_or_default();
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

#[tokio::test]
async fn states_of_jobs_and_their_kin_are_what_check_code_and_documents_say() {
    let db = field::migrated().await;
    let session = db.session().await;
    let coded = [
        ("host_state_is_known", words(HostState::ALL, HostState::word), Some("States of a host")),
        ("pending_run_state_is_known", words(RunState::ALL, RunState::word), Some("States of a pending run")),
        ("run_slot_how_is_known", words(How::ALL, How::word), Some("What became of a slot")),
        ("backup_job_state_is_known", words(JobState::ALL, JobState::word), Some("States of a backup job")),
        ("job_step_state_is_known", words(StepState::ALL, StepState::word), Some("States of a step")),
        (
            "backup_record_state_is_known",
            words(RecordState::ALL, RecordState::word),
            Some("States of a record"),
        ),
        ("alarm_state_is_known", words(AlarmState::ALL, AlarmState::word), Some("States of an alarm")),
        (
            "alarm_delivery_state_is_known",
            words(DeliveryState::ALL, DeliveryState::word),
            Some("States of a delivery"),
        ),
        ("alarm_kind_is_known", words(alarm::Kind::ALL, alarm::Kind::word), None),
        ("alarm_channel_kind_is_known", words(channel::Kind::ALL, channel::Kind::word), None),
        ("alarm_channel_min_severity_is_known", words(channel::Severity::ALL, channel::Severity::word), None),
        ("backup_job_kind_is_known", words(JobKind::ALL, JobKind::word), None),
        ("backup_job_reason_is_known", words(Reason::ALL, Reason::word), None),
        ("pending_run_reason_is_known", words(Reason::ALL, Reason::word), None),
        ("job_event_kind_is_known", Fact::KINDS.into_iter().collect(), None),
    ];
    for (constraint, coded, heading) in coded {
        let query =
            format!("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = '{constraint}'");
        let check = field::text(&session, &query).await.unwrap();
        let checked: BTreeSet<&str> = check.split('\'').skip(1).step_by(2).collect();
        assert_eq!(checked, coded, "{constraint}");
        if let Some(heading) = heading {
            assert_eq!(documented(heading), coded, "{heading}");
        }
    }
}

#[tokio::test]
async fn every_table_and_column_says_what_it_is() {
    let db = field::migrated().await;
    let bare = "SELECT string_agg(c.relname || coalesce('.' || a.attname, ''), ', ' ORDER BY c.relname, a.attname)
                  FROM pg_class AS c
                  LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                 WHERE c.relnamespace = 'highwater'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
                   AND c.relname IN ('tenant', 'host', 'host_enrolment', 'host_token', 'operator_token', 'host_boot', 'repository',
                     'source_group', 'group_repository', 'schedule', 'schedule_group', 'schedule_progress', 'catchup_arm', 'pending_run',
                     'run_slot', 'backup_job', 'job_step', 'job_step_edge', 'job_event', 'backup_record', 'idempotency_key',
                     'alarm', 'alarm_channel', 'alarm_delivery')
                   AND (obj_description(c.oid, 'pg_class') IS NULL OR (a.attnum IS NOT NULL AND col_description(c.oid, a.attnum) IS NULL))";
    assert_eq!(field::text(&db.session().await, bare).await, None);
}

#[tokio::test]
async fn ids_made_in_sql_are_of_version_seven_and_follow_the_clock() {
    let db = field::migrated().await;
    let session = db.session().await;
    let good = "SELECT bool_and(id::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$') AND count(DISTINCT id) = 1000
                  FROM (SELECT highwater.uuid_v7() AS id FROM generate_series(1, 1000)) AS made";
    assert!(field::is_true(&session, good).await);
    let ms = "SELECT abs(('x' || translate(left(highwater.uuid_v7()::text, 13), '-', ''))::bit(48)::bigint
                         - (extract(epoch FROM clock_timestamp()) * 1000)::bigint) < 60000";
    assert!(field::is_true(&session, ms).await);
}
