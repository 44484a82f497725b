//! What is wrong with a rollup, in words, and how bad it is.

use super::{Health, Horizon, RollupStatus};
use crate::ground::digits::{counted, grouped};

/// A rollup whose oldest mark is older than this is late (warning); older than [`STOPPED_SECONDS`], it has stopped
/// (critical).
const LATE_SECONDS: f64 = 300.0;
const STOPPED_SECONDS: f64 = 3600.0;

/// So many dead marks add some 10 to 40 ms to every pass, idle ones too; autovacuum begins at 5,000.
const MANY_DEAD_MARKS: i64 = 200_000;

/// A change for a dropped month is a warning for a week.
const ASIDE_SECONDS: f64 = 7.0 * 86_400.0;

impl RollupStatus {
    pub(super) fn judge(
        &mut self,
        has_source: bool,
        is_counted: bool,
        bare: &[String],
        misfit: Option<String>,
    ) {
        let name = self.name.clone();
        if !has_source {
            self.note(
                Health::Critical,
                format!("source {} is gone; \"highwater rollup drop {name}\"", self.source),
            );
        } else if let Some(misfit) = misfit {
            let problem = format!(
                "{misfit}; make it as it was, or \"highwater rollup drop {name}\" and add a definition that fits what is there \
                 now; changes are marked meanwhile, and none is lost"
            );
            self.note(Health::Critical, problem);
        }
        if !bare.is_empty() {
            let problem = format!(
                "no capture on {}: changes there are not seen; \"highwater rollup add\" the definition again to restore it",
                bare.join(", ")
            );
            self.note(Health::Critical, problem);
        }
        if let Some(error) = self.last_error.clone() {
            self.note(Health::Critical, format!("last run failed: {error}"));
        }
        if let Some(replaced) = self.replaces.clone() {
            let problem = format!(
                "being built to take the place of {replaced}; \"highwater rollup alter\" goes on with it"
            );
            self.note(Health::Ok, problem);
        }
        if let Some(since) = self.paused_at {
            let since = since.format("%Y-%m-%d %H:%M:%S UTC");
            let problem =
                format!("paused since {since}, changes are kept; \"highwater rollup resume {name}\"");
            self.note(Health::Warning, problem);
        }
        // Judged by marks and not by the watermark: a rollup without marks is exact, however long ago it was drained.
        match self.oldest_mark_seconds.filter(|_| self.paused_at.is_none()) {
            Some(age) if age > STOPPED_SECONDS => self.note(Health::Critical, waiting(&name, age)),
            Some(age) if age > LATE_SECONDS => self.note(Health::Warning, waiting(&name, age)),
            Some(_) | None => {}
        }
        if !is_counted {
            self.note(Health::Warning, format!("never backfilled; \"highwater backfill {name}\""));
        } else if self.slices_pending > 0 {
            let problem =
                format!("{} months are not backfilled; \"highwater backfill {name}\"", self.slices_pending);
            self.note(Health::Warning, problem);
        }
        if let Some(rows @ 1..) = self.uncounted_rows {
            self.note(
                Health::Warning,
                format!("{rows} source rows have no usable time and are in no bucket"),
            );
        }
    }

    /// Drift is what must not be: it stays critical until the months are right.
    pub(super) fn judge_drift(&mut self, months: Vec<String>) {
        if self.drifted_rows > 0 {
            let problem = format!(
                "drift: {} of {} differ from the source; \"highwater rollup verify {} --repair\" makes them right",
                counted(self.drifted_rows, "row"),
                months.join(", "),
                self.name
            );
            self.note(Health::Critical, problem);
        }
    }

    /// Every pass of a drain reads the mark table from end to end, dead rows and all.
    pub(super) fn judge_marks(&mut self, horizon: Option<&Horizon>) {
        if self.dead_marks < MANY_DEAD_MARKS {
            return;
        }
        let why = match horizon {
            Some(Horizon { holder, seconds: Some(seconds), .. }) if *seconds > LATE_SECONDS => {
                format!("{holder} has held a snapshot for {}; end it", span(*seconds))
            }
            Some(Horizon { holder, seconds: None, transactions }) => {
                format!(
                    "{holder} has held a snapshot for {} transactions; drop it if nobody uses it",
                    grouped(*transactions)
                )
            }
            Some(_) | None => "is autovacuum on?".to_owned(),
        };
        let problem = format!(
            "{} drained marks cannot be cleaned away and slow every drain: {why}",
            grouped(self.dead_marks)
        );
        self.note(Health::Warning, problem);
    }

    pub(super) fn judge_rendering(&mut self, build: Option<String>) {
        let by = build.map_or("an earlier highwater".to_owned(), |build| format!("highwater {build}"));
        let problem = format!(
            "its functions were rendered by {by} and are not those of this build; \"highwater migrate up\" renews them"
        );
        self.note(Health::Warning, problem);
    }

    /// Changes of dropped months are lost to the rollup: said for as long as somebody may still find out who made them.
    pub(super) fn judge_aside(&mut self, aside_seconds: Option<f64>) {
        if let (Some(before), Some(seconds)) = (self.dropped_before, aside_seconds)
            && seconds < ASIDE_SECONDS
        {
            let changes = counted(self.aside_marks, "change");
            let problem = format!(
                "{changes} came for months before {}, which keep has dropped",
                before.format("%Y-%m")
            );
            self.note(Health::Warning, problem);
        }
    }

    /// Changes that fire no trigger.
    pub(super) fn warn_of_silent_changes(&mut self, moved: Vec<String>, subscribed: Vec<String>) {
        let name = self.name.clone();
        if !moved.is_empty() {
            let problem = format!(
                "{} came or went as a partition, which fires no trigger; the next drain makes up for it: \"highwater rollup \
                 drain {name}\"",
                moved.join(", ")
            );
            self.note(Health::Warning, problem);
        }
        if !subscribed.is_empty() {
            let problem = format!(
                "{} is fed by a subscription, whose changes fire no trigger; mark what it brings: \"highwater rollup mark \
                 {name} --from --to\"",
                subscribed.join(", ")
            );
            self.note(Health::Warning, problem);
        }
    }

    fn note(&mut self, health: Health, problem: String) {
        self.health = self.health.max(health);
        self.problems.push(problem);
    }
}

fn waiting(name: &str, age_seconds: f64) -> String {
    format!("changes wait for {} to be drained; \"highwater rollup drain {name}\"", span(age_seconds))
}

fn span(seconds: f64) -> String {
    humantime::format_duration(std::time::Duration::from_secs(seconds.max(0.0) as u64)).to_string()
}
