//! How an attempt ended, from how its actions did. The backup alone decides; what failed beside it is a warning.

use std::collections::BTreeMap;

use super::super::graph::{End, Why};
use crate::ground::wire::state::{Ended, ErrorClass};

/// The end of an attempt, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub state: Ended,
    pub class: Option<ErrorClass>,
    pub error: Option<String>,
}

/// Actions whose failure is a warning: they follow the backup.
const BESIDE: [&str; 4] = ["post-backup-hook", "post-access-hook", "verify", "record-underway"];

/// Judges an attempt. `cut` says why it was cut short, if it was; `class` the class of the backup's own failure.
pub fn judge(ends: &BTreeMap<String, End>, cut: Option<Why>, class: Option<ErrorClass>) -> Verdict {
    let backup = ends.get("backup");
    match backup {
        Some(End::Succeeded | End::Warned(_)) => {
            let mut words: Vec<String> = Vec::new();
            if let Some(End::Warned(own)) = backup {
                words.push(own.clone());
            }
            for (name, end) in ends {
                let is_beside = BESIDE.contains(&name.as_str()) || name.starts_with("remove/");
                if let End::Failed(reason) = end
                    && is_beside
                {
                    words.push(reason.clone());
                }
            }
            if words.is_empty() {
                return Verdict { state: Ended::Succeeded, class: None, error: None };
            }
            Verdict { state: Ended::Warned, class: None, error: Some(words.join("; ")) }
        }
        Some(End::Failed(reason)) => {
            let (state, class) = match cut {
                Some(why) => cut_short(why),
                None => (Ended::Failed, class.or(Some(ErrorClass::Internal))),
            };
            Verdict { state, class, error: Some(reason.clone()) }
        }
        Some(End::Skipped(_)) | None => unbegun(ends, cut),
    }
}

/// What a cut makes of an attempt that had not succeeded.
fn cut_short(why: Why) -> (Ended, Option<ErrorClass>) {
    match why {
        Why::Cancelled => (Ended::Cancelled, Some(ErrorClass::Cancelled)),
        Why::TimedOut => (Ended::TimedOut, Some(ErrorClass::Timeout)),
        Why::Lost => (Ended::Interrupted, Some(ErrorClass::Lease)),
        Why::Ending => (Ended::Interrupted, None),
    }
}

/// The backup never began: because of the first thing before it that did not go well.
fn unbegun(ends: &BTreeMap<String, End>, cut: Option<Why>) -> Verdict {
    let failed = BEFORE.iter().find_map(|(name, class)| match ends.get(*name) {
        Some(End::Failed(reason)) => Some((reason.clone(), *class)),
        _ => None,
    });
    // An action that was cut fails too, so a cancel outranks it.
    if let Some(why) = cut {
        let (state, class) = cut_short(why);
        return Verdict { state, class, error: Some("cut short before the backup began".to_owned()) };
    }
    if let Some((reason, class)) = failed {
        return Verdict { state: Ended::Failed, class: Some(class), error: Some(reason) };
    }
    let quiet = BEFORE.iter().find_map(|(name, _)| match ends.get(*name) {
        Some(End::Skipped(reason)) => Some(reason.clone()),
        _ => None,
    });
    let error = Some(quiet.unwrap_or_else(|| "the backup did not begin".to_owned()));
    Verdict { state: Ended::Skipped, class: None, error }
}

/// What comes before a backup, in its order, and the class of its failure.
const BEFORE: [(&str, ErrorClass); 11] = [
    ("accept", ErrorClass::Internal),
    ("live", ErrorClass::Lease),
    ("gate", ErrorClass::Check),
    ("mount", ErrorClass::Check),
    ("flag", ErrorClass::Check),
    ("identify-group", ErrorClass::Config),
    ("pre-access-hook", ErrorClass::Hook),
    ("check-destination", ErrorClass::Destination),
    ("identify-target", ErrorClass::Destination),
    ("record-underway", ErrorClass::Internal),
    ("pre-backup-hook", ErrorClass::Hook),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(list: &[(&str, End)]) -> BTreeMap<String, End> {
        list.iter().map(|(name, end)| ((*name).to_owned(), end.clone())).collect()
    }

    fn failed(words: &str) -> End {
        End::Failed(words.to_owned())
    }

    #[test]
    fn the_backup_decides_and_what_is_beside_it_warns() {
        let state = |list: &[(&str, End)], cut| judge(&ends(list), cut, Some(ErrorClass::Source)).state;
        let good = ("backup", End::Succeeded);
        assert_eq!(state(std::slice::from_ref(&good), None), Ended::Succeeded);
        for beside in ["post-backup-hook", "post-access-hook", "verify", "remove/x"] {
            assert_eq!(state(&[good.clone(), (beside, failed("x"))], None), Ended::Warned, "{beside}");
        }
        // Cancelled after the backup was done: the backup is no worse for it.
        assert_eq!(state(std::slice::from_ref(&good), Some(Why::Cancelled)), Ended::Succeeded);
        let bad = ("backup", failed("disk"));
        assert_eq!(state(std::slice::from_ref(&bad), None), Ended::Failed);
        assert_eq!(state(std::slice::from_ref(&bad), Some(Why::Cancelled)), Ended::Cancelled);
        assert_eq!(state(std::slice::from_ref(&bad), Some(Why::TimedOut)), Ended::TimedOut);
    }

    #[test]
    fn a_run_that_never_began_says_what_stood_in_its_way() {
        let skipped = |words: &str| End::Skipped(words.to_owned());
        let quiet =
            [("gate", skipped("outside the window")), ("backup", skipped("record-underway was skipped"))];
        let verdict = judge(&ends(&quiet), None, None);
        assert_eq!((verdict.state, verdict.error.as_deref()), (Ended::Skipped, Some("outside the window")));
        let loud =
            [("pre-backup-hook", failed("exit code 1")), ("backup", skipped("pre-backup-hook failed"))];
        let verdict = judge(&ends(&loud), None, None);
        assert_eq!((verdict.state, verdict.class), (Ended::Failed, Some(ErrorClass::Hook)));
    }
}
