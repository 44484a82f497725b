//! The graph of one attempt, as `accept` to `report`.

use std::time::Duration;

use super::super::graph::{Action, Graph, GraphError, without};
use super::task::Task;

/// Room for what closes a run when it has no limit of its own: a hook, a report.
const CLOSING: Duration = Duration::from_secs(10 * 60);

/// Which optional actions an attempt has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    pub mount: bool,
    pub flag: bool,
    pub pre_access: bool,
    pub post_access: bool,
    pub pre_backup: bool,
    pub post_backup: bool,
    pub verify: bool,
    /// Archives to remove, by id.
    pub prune: Vec<String>,
    pub hook_timeout: Option<Duration>,
    pub job_timeout: Option<Duration>,
}

impl Parts {
    /// What a task has.
    pub fn of(task: &Task) -> Parts {
        let own = task.settings.group.get(&task.group.name).cloned().unwrap_or_default();
        Parts {
            mount: !own.mounts.is_empty(),
            flag: own.flag.is_some(),
            pre_access: task.settings.hooks.pre_access.is_some(),
            post_access: task.settings.hooks.post_access.is_some(),
            pre_backup: task.group.pre_hook.is_some(),
            post_backup: task.group.post_hook.is_some(),
            verify: task.verifies(),
            prune: task.prune.iter().map(|one| one.record.to_string()).collect(),
            hook_timeout: task.group.hook_timeout_seconds.map(Duration::from_secs),
            job_timeout: task.group.job_timeout_seconds.map(Duration::from_secs),
        }
    }
}

/// Builds the graph of an attempt. Actions that it does not have are bridged, so that who waited for one waits for what
/// it waited for.
///
/// # Errors
///
/// As [`Graph::build`]; two archives of one id, say.
pub fn graph(parts: &Parts) -> Result<Graph, GraphError> {
    let hook = |name: &str| Action::new(name).holds("hooks").within(parts.hook_timeout);
    // A closing hook has a limit in any case: a cancelled run must end.
    let closing =
        |name: &str| Action::new(name).holds("hooks").within(parts.hook_timeout.or(Some(CLOSING))).closes();
    let record = |name: &str| Action::new(name).within(Some(CLOSING)).closes();
    // Where there is no pre-hook that could have begun, its partner follows what the pre-hook would have stood before.
    let partner = |has: bool, hook: &'static str, instead: &'static str| if has { hook } else { instead };
    let mut actions = vec![
        record("accept"),
        Action::new("live").needs("accept"),
        Action::new("gate").needs("live"),
        Action::new("mount").needs("live"),
        Action::new("flag").needs("mount"),
        Action::new("identify-group").needs("gate").needs("flag"),
        // A hook never runs when there is nothing to do.
        hook("pre-access-hook").needs("identify-group"),
        Action::new("check-destination").needs("pre-access-hook"),
        Action::new("identify-target").needs("identify-group").needs("check-destination"),
        record("record-underway").needs("identify-target"),
        hook("pre-backup-hook").needs("record-underway"),
        Action::new("backup").needs("pre-backup-hook").holds("repository").within(parts.job_timeout),
        closing("post-backup-hook").after("backup").only_if_started(partner(
            parts.pre_backup,
            "pre-backup-hook",
            "backup",
        )),
        record("record-backup").after("backup").after("post-backup-hook"),
        Action::new("verify").needs("backup").needs("record-backup").holds("repository"),
        Action::new("find-prunable").after("record-backup").needs("backup"),
        Action::new("mark-pruning").needs("find-prunable"),
        record("log-prune").after("remove/*").after("mark-pruning"),
        record("expire-history").after("log-prune"),
        closing("post-access-hook")
            .after("backup")
            .after("post-backup-hook")
            .after("verify")
            .after("remove/*")
            .only_if_started(partner(parts.pre_access, "pre-access-hook", "check-destination")),
        record("report")
            .after("record-backup")
            .after("post-access-hook")
            .after("verify")
            .after("expire-history"),
    ];
    for archive in &parts.prune {
        actions.push(Action::new(format!("remove/{archive}")).needs("mark-pruning").holds("repository"));
    }
    let mut absent = Vec::new();
    let optional = [
        ("mount", parts.mount),
        ("flag", parts.flag),
        ("pre-access-hook", parts.pre_access),
        ("pre-backup-hook", parts.pre_backup),
        ("post-backup-hook", parts.post_backup),
        ("verify", parts.verify),
        ("post-access-hook", parts.post_access),
    ];
    absent.extend(optional.iter().filter(|(_, has)| !has).map(|(name, _)| *name));
    if parts.prune.is_empty() {
        absent.extend(["find-prunable", "mark-pruning", "log-prune", "expire-history"]);
    }
    Graph::build(without(actions, &absent))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::graph::{End, Walk};
    use super::*;

    fn full() -> Parts {
        Parts {
            mount: true,
            flag: true,
            pre_access: true,
            post_access: true,
            pre_backup: true,
            post_backup: true,
            verify: true,
            prune: vec!["x".to_owned(), "y".to_owned()],
            ..Parts::default()
        }
    }

    /// The order of a run in which some actions do not succeed.
    fn walked(parts: &Parts, fates: &[(&str, End)]) -> Vec<String> {
        let graph = graph(parts).unwrap();
        let mut walk = Walk::begin(&graph, BTreeMap::new());
        let mut begun = Vec::new();
        loop {
            let started = walk.start();
            if started.is_empty() {
                break;
            }
            for place in started {
                let name = &graph.actions()[place].name;
                begun.push(name.clone());
                let fate = fates.iter().find(|(one, _)| one == name).map(|(_, end)| end.clone());
                walk.end(place, fate.unwrap_or(End::Succeeded));
            }
        }
        assert!(walk.is_over());
        begun
    }

    #[test]
    fn a_run_with_everything_goes_in_the_order_of_the_contract() {
        let order = walked(&full(), &[]);
        let expected = [
            "accept",
            "live",
            "gate",
            "mount",
            "flag",
            "identify-group",
            "pre-access-hook",
            "check-destination",
            "identify-target",
            "record-underway",
            "pre-backup-hook",
            "backup",
            "post-backup-hook",
            "record-backup",
            "verify",
            "find-prunable",
            "mark-pruning",
            "remove/x",
            "remove/y",
            "log-prune",
            "post-access-hook",
            "expire-history",
            "report",
        ];
        let mut sorted = order.clone();
        sorted.sort();
        let mut wanted = expected.to_vec();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted);
        assert_eq!(order[..14], expected[..14]);
        assert_eq!(order.last().map(String::as_str), Some("report"));
    }

    #[test]
    fn a_bare_run_has_what_every_run_has() {
        let bare = [
            "accept",
            "live",
            "gate",
            "identify-group",
            "check-destination",
            "identify-target",
            "record-underway",
            "backup",
            "record-backup",
            "report",
        ];
        assert_eq!(walked(&Parts::default(), &[]), bare);
    }

    #[test]
    fn whatever_fails_the_run_is_recorded_and_reported() {
        let failed = || End::Failed("x".to_owned());
        for name in [
            "live",
            "gate",
            "mount",
            "identify-group",
            "pre-access-hook",
            "pre-backup-hook",
            "backup",
            "verify",
        ] {
            let order = walked(&full(), &[(name, failed())]);
            for always in ["record-backup", "report"] {
                assert!(
                    order.iter().any(|one| one == always),
                    "{name} failed and {always} did not run: {order:?}"
                );
            }
        }
    }

    #[test]
    fn no_hook_runs_when_a_gate_is_closed_and_partners_run_only_with_their_partner() {
        let closed = End::Skipped("window".to_owned());
        let order = walked(&full(), &[("gate", closed)]);
        assert!(!order.iter().any(|name| name.ends_with("hook")), "{order:?}");
        let order = walked(&full(), &[("pre-backup-hook", End::Failed("x".to_owned()))]);
        for partner in ["post-backup-hook", "post-access-hook"] {
            assert!(order.iter().any(|name| name == partner), "{order:?}");
        }
        let order = walked(&full(), &[("check-destination", End::Failed("x".to_owned()))]);
        assert!(!order.iter().any(|name| name == "post-backup-hook"));
        assert!(order.iter().any(|name| name == "post-access-hook"));
    }
}
