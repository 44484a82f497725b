//! The page that Prometheus reads: names with base units, no tenants.

use std::fmt::Write;

use super::ready::View;
use crate::db::schema;
use crate::scheduler::histogram::Histogram;
use crate::scheduler::vitals::{Hearing, Snapshot};

/// The text format, version 0.0.4.
pub fn render(vitals: &Snapshot, view: Option<&View>) -> String {
    let mut page = Page::default();
    page.head("highwater_build_info", "gauge", "Always 1; its labels say which build runs.");
    let schema = schema::VERSION.to_string();
    page.value("highwater_build_info", &[("version", env!("CARGO_PKG_VERSION")), ("schema", &schema)], 1.0);
    page.single(
        "highwater_worker_uptime_seconds",
        "gauge",
        "Since the worker began.",
        vitals.uptime.as_secs_f64(),
    );
    page.single(
        "highwater_worker_draining",
        "gauge",
        "1 while the worker ends and takes no more plans.",
        f64::from(u8::from(vitals.is_draining)),
    );
    page.single("highwater_worker_running", "gauge", "Runs in hand.", vitals.running as f64);
    page.single(
        "highwater_worker_listening",
        "gauge",
        "1 while calls of run-now are heard at once; 0 while they are found by polling.",
        f64::from(u8::from(vitals.hearing == Hearing::Good)),
    );
    page.single(
        "highwater_database_up",
        "gauge",
        "1 when the database answered just now.",
        f64::from(u8::from(view.is_some())),
    );
    page.head("highwater_runs_total", "counter", "Runs that ended, by job and outcome.");
    for (job, outcome, tally) in &vitals.runs {
        page.value("highwater_runs_total", &[("job", job), ("outcome", outcome)], tally.count as f64);
    }
    page.head("highwater_run_seconds_total", "counter", "Time that those runs took.");
    for (job, outcome, tally) in &vitals.runs {
        page.value("highwater_run_seconds_total", &[("job", job), ("outcome", outcome)], tally.seconds);
    }
    page.head("highwater_heartbeats_total", "counter", "Leases that a heartbeat asked for, by answer.");
    for (answer, count) in &vitals.heartbeats {
        page.value("highwater_heartbeats_total", &[("answer", answer)], *count as f64);
    }
    page.histogram("highwater_claim_seconds", "How long claims took.", &vitals.claims);
    page.single("highwater_plans_claimed_total", "counter", "Plans taken.", vitals.claimed as f64);
    page.single(
        "highwater_plans_made_total",
        "counter",
        "Plans put on the ledger to run.",
        vitals.made as f64,
    );
    page.single(
        "highwater_plans_skipped_total",
        "counter",
        "Plans recorded as skipped.",
        vitals.skipped as f64,
    );
    page.single(
        "highwater_leases_swept_total",
        "counter",
        "Leases taken from workers that had gone quiet.",
        vitals.swept as f64,
    );
    page.histogram(
        "highwater_drain_pass_seconds",
        "How long passes over marked buckets took that found any.",
        &vitals.drains,
    );
    page.head(
        "highwater_drained_marks_total",
        "counter",
        "Marks that drains of this worker have made right.",
    );
    for (rollup, drained) in &vitals.drained {
        page.value("highwater_drained_marks_total", &[("rollup", rollup)], drained.marks as f64);
    }
    page.head("highwater_drained_buckets_total", "counter", "Buckets that they computed anew.");
    for (rollup, drained) in &vitals.drained {
        page.value("highwater_drained_buckets_total", &[("rollup", rollup)], drained.buckets as f64);
    }
    page.head("highwater_worker_sessions", "gauge", "Connections of this worker's runs, by what they do.");
    page.value("highwater_worker_sessions", &[("state", "lent")], vitals.sessions.0 as f64);
    page.value("highwater_worker_sessions", &[("state", "idle")], vitals.sessions.1 as f64);
    if let Some(view) = view {
        database(&mut page, view);
    }
    page.text
}

fn database(page: &mut Page, view: &View) {
    page.head(
        "highwater_plans",
        "gauge",
        "Plans that wait or run, on any worker, or have failed for good, by state.",
    );
    for (state, count) in &view.plans {
        page.value("highwater_plans", &[("state", state.word())], *count as f64);
    }
    page.single(
        "highwater_plan_oldest_due_seconds",
        "gauge",
        "How long the longest waiting plan could have run.",
        view.oldest_due_seconds,
    );
    page.single(
        "highwater_plan_oldest_run_seconds",
        "gauge",
        "For how long the oldest run has been running.",
        view.oldest_run_seconds,
    );
    page.single(
        "highwater_lease_age_seconds",
        "gauge",
        "Since the longest silent holder of a lease was heard; 0 without leases.",
        view.lease_age_seconds,
    );
    page.single(
        "highwater_lease_overdue_seconds",
        "gauge",
        "How long ago the oldest lease ran out; 0 when none has.",
        view.lease_overdue_seconds,
    );
    let backups = &view.backups;
    for (name, help, value) in [
        (
            "highwater_backup_groups_over_rpo",
            "Groups whose last good backup is older than was promised.",
            backups.over_rpo,
        ),
        ("highwater_backup_runs_waiting", "Owed runs that wait for their host.", backups.waiting),
        ("highwater_backup_jobs_in_hand", "Backup jobs in hosts' hands, or about to be.", backups.in_hand),
        (
            "highwater_backup_hosts_armed",
            "Hosts that are about to be looked at for missed backups.",
            backups.armed,
        ),
        (
            "highwater_backup_schedules_late",
            "Schedules whose slot has come and is not written.",
            backups.late_schedules,
        ),
    ] {
        page.single(name, "gauge", help, value as f64);
    }
    page.head("highwater_rollup_lag_seconds", "gauge", "Database clock minus the rollup's watermark.");
    for lag in &view.lags {
        page.value("highwater_rollup_lag_seconds", &[("rollup", &lag.rollup)], lag.lag_seconds);
    }
    page.head("highwater_rollup_open_marks", "gauge", "Marks that wait to be drained.");
    for backlog in &view.backlogs {
        page.value("highwater_rollup_open_marks", &[("rollup", &backlog.rollup)], backlog.marks as f64);
    }
    page.head("highwater_rollup_oldest_mark_seconds", "gauge", "Age of the oldest of them; 0 without any.");
    for backlog in &view.backlogs {
        let labels = [("rollup", backlog.rollup.as_str())];
        page.value("highwater_rollup_oldest_mark_seconds", &labels, backlog.oldest_seconds);
    }
    page.head("highwater_rollup_slices_pending", "gauge", "Months that wait to be filled.");
    for lag in &view.lags {
        let labels = [("rollup", lag.rollup.as_str())];
        page.value("highwater_rollup_slices_pending", &labels, lag.slices_pending as f64);
    }
    page.head(
        "highwater_rollup_drift_rows",
        "gauge",
        "Rows that differed from the source when their month was last compared, and are not made right since.",
    );
    for lag in &view.lags {
        let labels = [("rollup", lag.rollup.as_str())];
        page.value("highwater_rollup_drift_rows", &labels, lag.drifted_rows as f64);
    }
    page.head("highwater_rollup_paused", "gauge", "1 while somebody has paused the rollup.");
    for lag in &view.lags {
        let labels = [("rollup", lag.rollup.as_str())];
        page.value("highwater_rollup_paused", &labels, f64::from(u8::from(lag.is_paused)));
    }
    page.head("highwater_rollup_failed", "gauge", "1 while the last run over the rollup has failed.");
    for lag in &view.lags {
        let labels = [("rollup", lag.rollup.as_str())];
        page.value("highwater_rollup_failed", &labels, f64::from(u8::from(lag.last_error.is_some())));
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for (bound, count) in histogram.cumulated() {
            self.value(&bucket, &[("le", &bound.to_string())], count as f64);
        }
        self.value(&bucket, &[("le", "+Inf")], histogram.count as f64);
        self.value(&format!("{name}_sum"), &[], histogram.seconds);
        self.value(&format!("{name}_count"), &[], histogram.count as f64);
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        self.value(name, &[], value);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::vitals::Vitals;
    use std::time::Duration;

    #[test]
    fn every_sample_stands_under_its_type_and_is_a_number() {
        let vitals = Vitals::default();
        vitals.count_run("odd \"name\"\\", "done", Duration::from_millis(1500));
        let page = render(&vitals.snapshot(), None);
        assert!(
            page.contains("highwater_run_seconds_total{job=\"odd \\\"name\\\"\\\\\",outcome=\"done\"} 1.5\n")
        );
        let mut family = "";
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let part =
                    ["", "_bucket", "_sum", "_count"].iter().any(|part| name == format!("{family}{part}"));
                assert!(part, "{line}");
                line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
            }
        }
    }
}
