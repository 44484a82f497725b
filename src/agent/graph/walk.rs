//! The state machine of a run: which actions may begin now, which never will, and why. No clock, no process.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::action::EdgeKind;
use super::build::Graph;

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Succeeded,
    /// It did its work; something beside it is not well.
    Warned(String),
    Failed(String),
    /// It did nothing, for this reason: its turn never came, or it found nothing to do.
    Skipped(String),
}

impl End {
    /// Whether those who need it may go on.
    pub fn is_success(&self) -> bool {
        match self {
            End::Succeeded | End::Warned(_) => true,
            End::Failed(_) | End::Skipped(_) => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stand {
    /// Waits for this many bundles.
    Waiting(usize),
    /// Waits for resources only.
    Ready,
    Running,
    Over(End),
}

/// A run in progress.
#[derive(Debug)]
pub struct Walk<'graph> {
    graph: &'graph Graph,
    stands: Vec<Stand>,
    started: Vec<bool>,
    open: Vec<usize>,
    /// Ready actions, the next one first.
    ready: BTreeSet<(Reverse<i32>, usize)>,
    held: BTreeMap<&'graph str, usize>,
    capacity: BTreeMap<String, usize>,
    left: usize,
    is_cancelled: bool,
    /// Ended without having begun, and not yet told.
    skipped: Vec<usize>,
}

impl<'graph> Walk<'graph> {
    /// Begins a run. A resource that is not in `capacity` is held by one action at a time.
    pub fn begin(graph: &'graph Graph, capacity: BTreeMap<String, usize>) -> Walk<'graph> {
        let count = graph.actions().len();
        let open: Vec<usize> = graph.bundles().iter().map(Vec::len).collect();
        let mut walk = Walk {
            graph,
            stands: vec![Stand::Ready; count],
            started: vec![false; count],
            ready: BTreeSet::new(),
            held: BTreeMap::new(),
            capacity,
            left: count,
            is_cancelled: false,
            skipped: Vec::new(),
            open,
        };
        for place in 0..count {
            let waits = graph.edges(place).iter().filter(|(bundle, _)| walk.open[*bundle] > 0).count();
            walk.stands[place] = Stand::Waiting(waits);
        }
        for place in 0..count {
            if walk.stands[place] == Stand::Waiting(0) {
                walk.arrive(place);
            }
        }
        walk
    }

    /// Takes the actions that begin now, in their order; each must be ended by [`Walk::end`].
    pub fn start(&mut self) -> Vec<usize> {
        let mut begun = Vec::new();
        let candidates: Vec<_> = self.ready.iter().copied().collect();
        for candidate in candidates {
            let (_, place) = candidate;
            let resources = &self.graph.actions()[place].resources;
            let is_free = |resource: &String| {
                let most = self.capacity.get(resource).copied().unwrap_or(1);
                self.held.get(resource.as_str()).copied().unwrap_or(0) < most
            };
            if resources.iter().all(is_free) {
                for resource in resources {
                    *self.held.entry(resource).or_default() += 1;
                }
                self.ready.remove(&candidate);
                self.stands[place] = Stand::Running;
                self.started[place] = true;
                begun.push(place);
            }
        }
        begun
    }

    /// A running action has ended.
    pub fn end(&mut self, place: usize, end: End) {
        if self.stands[place] != Stand::Running {
            return;
        }
        for resource in &self.graph.actions()[place].resources {
            if let Some(held) = self.held.get_mut(resource.as_str()) {
                *held -= 1;
            }
        }
        self.close(place, end);
    }

    /// Cuts the run short: what has not begun and does not close is skipped when its turn comes. Returns the running
    /// actions that are to be stopped.
    pub fn cancel(&mut self) -> Vec<usize> {
        self.is_cancelled = true;
        let waiting: Vec<usize> = self.ready.iter().map(|(_, place)| *place).collect();
        for place in waiting {
            if !self.graph.actions()[place].closes {
                self.ready.remove(&(Reverse(self.graph.actions()[place].priority), place));
                self.skip(place, "the run was cancelled");
            }
        }
        let cut =
            |place: &usize| self.stands[*place] == Stand::Running && !self.graph.actions()[*place].closes;
        (0..self.stands.len()).filter(cut).collect()
    }

    /// Actions that ended without having begun since the last time, with their reasons.
    pub fn take_skipped(&mut self) -> Vec<(usize, String)> {
        let taken = std::mem::take(&mut self.skipped);
        let reason = |place: usize| match &self.stands[place] {
            Stand::Over(End::Skipped(reason)) => reason.clone(),
            _ => String::new(),
        };
        taken.into_iter().map(|place| (place, reason(place))).collect()
    }

    /// Whether every action is over.
    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    /// How an action ended; none while it is not over.
    pub fn end_of(&self, place: usize) -> Option<&End> {
        match &self.stands[place] {
            Stand::Over(end) => Some(end),
            _ => None,
        }
    }

    /// Whether an action has begun.
    pub fn has_started(&self, place: usize) -> bool {
        self.started[place]
    }

    /// Everything that an action waited for is over: it becomes ready, or will never run.
    fn arrive(&mut self, place: usize) {
        let action = &self.graph.actions()[place];
        for (bundle, kind) in self.graph.edges(place) {
            if *kind == EdgeKind::After {
                continue;
            }
            let failed = self.graph.bundles()[*bundle]
                .iter()
                .find(|member| matches!(&self.stands[**member], Stand::Over(end) if !end.is_success()));
            if let Some(failed) = failed {
                let how = match &self.stands[*failed] {
                    Stand::Over(End::Skipped(_)) => "was skipped",
                    _ => "failed",
                };
                let reason = format!("{} {how}", self.graph.actions()[*failed].name);
                return self.skip(place, &reason);
            }
        }
        if let Some(wanted) = self.graph.condition(place)
            && !self.started[wanted]
        {
            let reason = format!("{} never began", self.graph.actions()[wanted].name);
            return self.skip(place, &reason);
        }
        if self.is_cancelled && !action.closes {
            return self.skip(place, "the run was cancelled");
        }
        self.stands[place] = Stand::Ready;
        self.ready.insert((Reverse(action.priority), place));
    }

    fn skip(&mut self, place: usize, reason: &str) {
        self.skipped.push(place);
        self.close(place, End::Skipped(reason.to_owned()));
    }

    fn close(&mut self, place: usize, end: End) {
        self.stands[place] = Stand::Over(end);
        self.left -= 1;
        let mut arrived = Vec::new();
        for bundle in self.graph.bundles_of(place) {
            self.open[*bundle] -= 1;
            if self.open[*bundle] > 0 {
                continue;
            }
            for waiting in self.graph.waiting_for(*bundle) {
                if let Stand::Waiting(waits) = &mut self.stands[*waiting] {
                    *waits -= 1;
                    if *waits == 0 {
                        arrived.push(*waiting);
                    }
                }
            }
        }
        for place in arrived {
            self.arrive(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::action::{Action, Condition};
    use super::*;
    use proptest::prelude::*;

    /// Runs a graph to its end; `fate` says how each action ends. Returns the order of beginnings.
    fn drive(
        graph: &Graph,
        mut fate: impl FnMut(&str) -> End,
        cancel_after: Option<usize>,
    ) -> (Vec<String>, Vec<End>) {
        let mut walk = Walk::begin(graph, BTreeMap::new());
        let mut running: Vec<usize> = Vec::new();
        let mut begun = Vec::new();
        let mut ended = 0;
        loop {
            for place in walk.start() {
                begun.push(graph.actions()[place].name.clone());
                running.push(place);
                let shares = |other: &&usize| {
                    let held = &graph.actions()[**other].resources;
                    **other != place && graph.actions()[place].resources.iter().any(|one| held.contains(one))
                };
                assert!(running.iter().find(shares).is_none(), "a resource is shared");
            }
            let Some(place) = running.pop() else { break };
            walk.end(place, fate(&graph.actions()[place].name));
            ended += 1;
            if cancel_after == Some(ended) {
                for place in walk.cancel() {
                    running.retain(|one| *one != place);
                    walk.end(place, End::Failed("cancelled".to_owned()));
                }
            }
        }
        assert!(walk.is_over(), "something never ended: {walk:?}");
        let ends = (0..graph.actions().len()).map(|place| walk.end_of(place).unwrap().clone()).collect();
        (begun, ends)
    }

    fn well(_: &str) -> End {
        End::Succeeded
    }

    #[test]
    fn a_failed_need_skips_and_says_so_while_after_runs() {
        let graph = Graph::build(vec![
            Action::new("backup"),
            Action::new("verify").needs("backup"),
            Action::new("record").after("backup").after("verify"),
            Action::new("last").needs("record"),
        ]);
        let fate =
            |name: &str| if name == "backup" { End::Failed("disk".to_owned()) } else { End::Succeeded };
        let (begun, ends) = drive(&graph.unwrap(), fate, None);
        assert_eq!(begun, ["backup", "record", "last"]);
        assert_eq!(ends[1], End::Skipped("backup failed".to_owned()));
    }

    #[test]
    fn a_pattern_that_only_orders_lets_run_whatever_happened_and_one_that_needs_does_not() {
        for (kind, runs) in [(EdgeKind::After, true), (EdgeKind::Needs, false)] {
            let mut last = Action::new("last");
            last = if kind == EdgeKind::After { last.after("remove/*") } else { last.needs("remove/*") };
            let graph = Graph::build(vec![Action::new("remove/1"), Action::new("remove/2"), last]).unwrap();
            let fate =
                |name: &str| if name == "remove/1" { End::Failed("x".to_owned()) } else { End::Succeeded };
            let (begun, _) = drive(&graph, fate, None);
            assert_eq!(begun.contains(&"last".to_owned()), runs, "{kind:?}");
        }
    }

    #[test]
    fn higher_priority_goes_first_where_a_resource_is_shared() {
        let actions =
            (1..=4).map(|rank| Action::new(format!("a{rank}")).holds("disk").priority(rank)).collect();
        let (begun, _) = drive(&Graph::build(actions).unwrap(), well, None);
        assert_eq!(begun, ["a4", "a3", "a2", "a1"]);
    }

    #[test]
    fn as_many_hold_a_resource_as_it_has_room_for() {
        let actions = (0..5).map(|place| Action::new(format!("a{place}")).holds("host")).collect();
        let graph = Graph::build(actions).unwrap();
        let mut walk = Walk::begin(&graph, BTreeMap::from([("host".to_owned(), 2)]));
        assert_eq!(walk.start(), [0, 1]);
        assert!(walk.start().is_empty());
        walk.end(0, End::Succeeded);
        assert_eq!(walk.start(), [2]);
    }

    #[test]
    fn a_hook_that_closes_runs_only_if_its_partner_began() {
        let actions = || {
            vec![
                Action::new("check"),
                Action::new("pre").needs("check"),
                Action::new("post").after("pre").only_if_started("pre").closes(),
            ]
        };
        let graph = Graph::build(actions()).unwrap();
        let (begun, ends) = drive(&graph, |_| End::Failed("no".to_owned()), None);
        assert_eq!(begun, ["check"]);
        assert_eq!(ends[2], End::Skipped("pre never began".to_owned()));
        let fate = |name: &str| if name == "pre" { End::Failed("no".to_owned()) } else { End::Succeeded };
        assert_eq!(drive(&graph, fate, None).0, ["check", "pre", "post"]);
    }

    /// Random graphs: actions wait only for earlier ones, so there is no circle.
    fn graphs() -> impl Strategy<Value = Vec<Action>> {
        let action = (
            proptest::collection::vec((any::<u8>(), any::<bool>()), 0..4),
            any::<bool>(),
            0_u8..4,
            0_i32..3,
            proptest::option::of(any::<u8>()),
        );
        proptest::collection::vec(action, 1..25).prop_map(|drawn| {
            let mut actions: Vec<Action> = Vec::new();
            for (place, (edges, closes, resource, priority, condition)) in drawn.into_iter().enumerate() {
                let mut action = Action::new(format!("a{}/{place}", place % 3)).priority(priority);
                action.closes = closes;
                if resource < 3 {
                    action = action.holds(format!("r{resource}"));
                }
                for (to, needs) in edges.into_iter().filter(|_| place > 0) {
                    let to = format!("a{}/{}", usize::from(to) % place % 3, usize::from(to) % place);
                    action = if needs { action.needs(to) } else { action.after(to) };
                }
                if let Some(wanted) = condition.filter(|_| place > 0) {
                    let wanted = actions[usize::from(wanted) % place].name.clone();
                    action = action.after(wanted.clone()).only_if_started(wanted);
                }
                actions.push(action);
            }
            actions
        })
    }

    proptest! {
        /// Against the naive reading of the rules, one action after the other in the order of the graph.
        #[test]
        fn every_action_ends_as_the_naive_oracle_says(actions in graphs(), dice in proptest::collection::vec(0_u8..3, 25)) {
            let graph = Graph::build(actions.clone()).unwrap();
            let place_of = |name: &str| actions.iter().position(|action| action.name == name).unwrap();
            let fate = |name: &str| match dice[place_of(name) % dice.len()] {
                0 => End::Failed("dice".to_owned()),
                1 => End::Warned("dice".to_owned()),
                _ => End::Succeeded,
            };
            let (begun, ends) = drive(&graph, fate, None);
            let mut naive: Vec<Option<End>> = vec![None; actions.len()];
            // Every edge leads to an earlier action here.
            for (place, action) in actions.iter().enumerate() {
                let over = |name: &str| naive[place_of(name)].clone().unwrap();
                let runs = action.edges.iter().all(|edge| edge.kind == EdgeKind::After || over(&edge.to).is_success())
                    && match &action.condition {
                        Condition::Always => true,
                        Condition::Started(name) => !matches!(over(name), End::Skipped(_)),
                    };
                naive[place] = Some(if runs { fate(&action.name) } else { End::Skipped(String::new()) });
            }
            for (place, end) in ends.iter().enumerate() {
                let naive = naive[place].as_ref().unwrap();
                prop_assert_eq!(std::mem::discriminant(end), std::mem::discriminant(naive), "{}", actions[place].name);
                prop_assert_eq!(begun.contains(&actions[place].name), !matches!(end, End::Skipped(_)));
            }
            for (at, name) in begun.iter().enumerate() {
                for edge in &actions[place_of(name)].edges {
                    let began = begun.iter().position(|other| *other == edge.to);
                    prop_assert!(began.is_none_or(|began| began < at), "{name} began before {}", edge.to);
                }
            }
        }

        /// A cancelled run ends: whatever closes runs unless it needed something, and nothing else begins any more.
        #[test]
        fn a_cancelled_graph_still_closes(actions in graphs(), after in 1_usize..10) {
            let graph = Graph::build(actions.clone()).unwrap();
            let (begun, ends) = drive(&graph, well, Some(after));
            for (place, action) in actions.iter().enumerate() {
                let only_orders = action.condition == Condition::Always
                    && action.edges.iter().all(|edge| edge.kind == EdgeKind::After);
                if action.closes && only_orders {
                    prop_assert!(begun.contains(&action.name), "{} closes and did not run", action.name);
                }
                if matches!(&ends[place], End::Skipped(reason) if reason == "the run was cancelled") {
                    prop_assert!(!action.closes);
                }
            }
        }
    }
}
