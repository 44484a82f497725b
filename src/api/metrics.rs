//! The page that Prometheus reads: names with base units, no tenants.

use std::fmt::Write;

use super::ready::View;
use crate::scheduler::vitals::{Hearing, Snapshot};

/// The text format, version 0.0.4.
pub fn render(vitals: &Snapshot, view: Option<&View>) -> String {
    let mut page = Page::default();
    page.head("highwater_build_info", "gauge", "Always 1; its labels say which build runs.");
    page.value("highwater_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
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
    let claims = &vitals.claims;
    page.single("highwater_claims_total", "counter", "Claims sent.", claims.count as f64);
    page.single("highwater_claim_seconds_total", "counter", "Time that claims took.", claims.seconds);
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
    if let Some(view) = view {
        database(&mut page, view);
    }
    page.text
}

fn database(page: &mut Page, view: &View) {
    page.single("highwater_plans_waiting", "gauge", "Plans that wait for a run.", view.waiting as f64);
    page.single("highwater_plans_running", "gauge", "Plans that run, on any worker.", view.running as f64);
    page.single("highwater_leases", "gauge", "Leases held by any worker.", view.leases as f64);
    page.single(
        "highwater_plan_oldest_due_seconds",
        "gauge",
        "How long the longest waiting plan could have run.",
        view.oldest_due_seconds,
    );
    page.single(
        "highwater_lease_oldest_overdue_seconds",
        "gauge",
        "How long ago the oldest lease ran out; 0 when none has.",
        view.oldest_lease_overdue_seconds,
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
    page.head("highwater_rollup_slices_pending", "gauge", "Months that wait to be filled.");
    for lag in &view.lags {
        let labels = [("rollup", lag.rollup.as_str())];
        page.value("highwater_rollup_slices_pending", &labels, lag.slices_pending as f64);
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
                assert_eq!(line.split(['{', ' ']).next().unwrap(), family, "{line}");
                line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
            }
        }
    }
}
