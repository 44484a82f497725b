//! Checking a graph: no name twice, no edge to nothing, no circle; each is refused by name.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::action::{Action, Condition, EdgeKind};

/// Why actions are no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    #[error("action \"{name}\" is there twice")]
    Duplicate { name: String },
    #[error("action \"{from}\" waits for \"{to}\", which is no action")]
    Unknown { from: String, to: String },
    #[error("actions wait for each other in a circle: {}", names.join(" → "))]
    Circle { names: Vec<String> },
}

/// Actions that can be run, in an order in which they could be run one by one.
#[derive(Debug, Clone)]
pub struct Graph {
    actions: Vec<Action>,
    /// Edges of each action to bundles.
    edges: Vec<Vec<(usize, EdgeKind)>>,
    /// What each distinct name or pattern of an edge stands for. They are shared: thousands of actions that wait for
    /// thousands cost a sum, not a product.
    bundles: Vec<Vec<usize>>,
    /// Bundles that each action is in.
    member_of: Vec<Vec<usize>>,
    /// Actions that wait for each bundle.
    waits_for: Vec<Vec<usize>>,
    conditions: Vec<Option<usize>>,
    order: Vec<usize>,
}

impl Graph {
    /// Checks actions and orders them: by their edges, then by priority, then as they were given.
    ///
    /// # Errors
    ///
    /// [`GraphError`], naming the actions.
    pub fn build(actions: Vec<Action>) -> Result<Graph, GraphError> {
        let mut places: HashMap<&str, usize> = HashMap::with_capacity(actions.len());
        // Actions by all that their name begins with, so that a pattern looks at its own family only.
        let mut families: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, action) in actions.iter().enumerate() {
            if places.insert(&action.name, place).is_some() {
                return Err(GraphError::Duplicate { name: action.name.clone() });
            }
            families.entry(first_word(&action.name)).or_default().push(place);
        }
        let mut bundles: Vec<Vec<usize>> = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        let mut edges: Vec<Vec<(usize, EdgeKind)>> = Vec::with_capacity(actions.len());
        let mut conditions = Vec::with_capacity(actions.len());
        for action in &actions {
            let unknown = |to: &str| GraphError::Unknown { from: action.name.clone(), to: to.to_owned() };
            let mut own = Vec::with_capacity(action.edges.len());
            for edge in &action.edges {
                let bundle = match known.get(edge.to.as_str()) {
                    Some(bundle) => *bundle,
                    None => {
                        let family =
                            families.get(first_word(&edge.to)).map_or(&[] as &[usize], Vec::as_slice);
                        let fits = |place: &&usize| covers(&edge.to, &actions[**place].name);
                        let members: Vec<usize> = family.iter().filter(fits).copied().collect();
                        // A pattern may stand for nothing: there was nothing to remove.
                        if members.is_empty() && !edge.to.contains('*') {
                            return Err(unknown(&edge.to));
                        }
                        bundles.push(members);
                        known.insert(&edge.to, bundles.len() - 1);
                        bundles.len() - 1
                    }
                };
                own.push((bundle, edge.kind));
            }
            edges.push(own);
            conditions.push(match &action.condition {
                Condition::Always => None,
                Condition::Started(name) => Some(*places.get(name.as_str()).ok_or_else(|| unknown(name))?),
            });
        }
        let mut member_of = vec![Vec::new(); actions.len()];
        for (bundle, members) in bundles.iter().enumerate() {
            members.iter().for_each(|member| member_of[*member].push(bundle));
        }
        let mut waits_for = vec![Vec::new(); bundles.len()];
        for (place, own) in edges.iter().enumerate() {
            own.iter().for_each(|(bundle, _)| waits_for[*bundle].push(place));
        }
        let mut graph =
            Graph { actions, edges, bundles, member_of, waits_for, conditions, order: Vec::new() };
        graph.order = graph.sorted()?;
        Ok(graph)
    }

    fn sorted(&self) -> Result<Vec<usize>, GraphError> {
        let mut open: Vec<usize> = self.bundles.iter().map(Vec::len).collect();
        let is_open = |bundle: &usize| !self.bundles[*bundle].is_empty();
        let mut waits: Vec<usize> =
            self.edges.iter().map(|own| own.iter().filter(|(bundle, _)| is_open(bundle)).count()).collect();
        let rank = |place: usize| (self.actions[place].priority, Reverse(place));
        let mut ready: BinaryHeap<_> =
            (0..self.actions.len()).filter(|place| waits[*place] == 0).map(rank).collect();
        let mut order = Vec::with_capacity(self.actions.len());
        while let Some((_, Reverse(place))) = ready.pop() {
            order.push(place);
            for bundle in &self.member_of[place] {
                open[*bundle] -= 1;
                if open[*bundle] > 0 {
                    continue;
                }
                for waiting in &self.waits_for[*bundle] {
                    waits[*waiting] -= 1;
                    if waits[*waiting] == 0 {
                        ready.push(rank(*waiting));
                    }
                }
            }
        }
        if order.len() == self.actions.len() { Ok(order) } else { Err(self.circle(&waits)) }
    }

    /// Walks back from an action that never became ready until one comes again.
    fn circle(&self, waits: &[usize]) -> GraphError {
        let stuck = |place: &usize| waits[*place] > 0;
        let mut path: Vec<usize> = (0..self.actions.len()).find(stuck).into_iter().collect();
        while let Some(last) = path.last() {
            let members = self.edges[*last].iter().flat_map(|(bundle, _)| &self.bundles[*bundle]);
            let next = members.copied().find(stuck).expect("what is stuck waits for something that is stuck");
            if let Some(begin) = path.iter().position(|place| *place == next) {
                path.push(next);
                let names = path[begin..].iter().map(|place| self.actions[*place].name.clone()).collect();
                return GraphError::Circle { names };
            }
            path.push(next);
        }
        GraphError::Circle { names: Vec::new() }
    }

    /// The actions, as they were given.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// Places of the actions, in an order in which they could be run one by one.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Edges of an action, resolved to the actions that it waits for.
    pub fn waited_for(&self, place: usize) -> Vec<(usize, EdgeKind)> {
        let own = self.edges[place].iter();
        own.flat_map(|(bundle, kind)| self.bundles[*bundle].iter().map(|member| (*member, *kind))).collect()
    }

    pub(super) fn edges(&self, place: usize) -> &[(usize, EdgeKind)] {
        &self.edges[place]
    }

    pub(super) fn bundles(&self) -> &[Vec<usize>] {
        &self.bundles
    }

    pub(super) fn bundles_of(&self, place: usize) -> &[usize] {
        &self.member_of[place]
    }

    pub(super) fn waiting_for(&self, bundle: usize) -> &[usize] {
        &self.waits_for[bundle]
    }

    pub(super) fn condition(&self, place: usize) -> Option<usize> {
        self.conditions[place]
    }
}

fn first_word(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// Whether a name in an edge stands for an action: equal, `*` for a parameter, or with parameters left out.
fn covers(pattern: &str, name: &str) -> bool {
    let mut words = name.split('/');
    pattern.split('/').all(|wanted| words.next().is_some_and(|word| wanted == "*" || wanted == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(actions: Vec<Action>) -> String {
        Graph::build(actions).unwrap_err().to_string()
    }

    #[test]
    fn circles_doubles_and_strangers_are_named() {
        let circle = vec![
            Action::new("a").needs("c"),
            Action::new("b").after("a"),
            Action::new("c").needs("b"),
            Action::new("d").needs("a"),
        ];
        assert_eq!(refused(circle), "actions wait for each other in a circle: a → c → b → a");
        assert_eq!(
            refused(vec![Action::new("a").after("a")]),
            "actions wait for each other in a circle: a → a"
        );
        assert_eq!(refused(vec![Action::new("a"), Action::new("a")]), "action \"a\" is there twice");
        assert_eq!(
            refused(vec![Action::new("a").needs("b")]),
            "action \"a\" waits for \"b\", which is no action"
        );
        let condition = vec![Action::new("a").only_if_started("b")];
        assert_eq!(refused(condition), "action \"a\" waits for \"b\", which is no action");
    }

    #[test]
    fn fewer_parameters_and_stars_stand_for_all() {
        for pattern in ["remove", "remove/*", "remove/*/*", "remove/x"] {
            let actions =
                vec![Action::new("log").after(pattern), Action::new("remove/x/1"), Action::new("remove/x/2")];
            let graph = Graph::build(actions).unwrap();
            assert_eq!(graph.waited_for(0), [(1, EdgeKind::After), (2, EdgeKind::After)], "{pattern}");
        }
        let none = Graph::build(vec![Action::new("log").needs("remove/*")]).unwrap();
        assert!(none.waited_for(0).is_empty());
        assert!(!covers("remove/*/*", "remove/x"));
        assert!(!covers("remover", "remove"));
    }

    #[test]
    fn ten_thousand_actions_are_planned_in_fifty_milliseconds() {
        let mut actions: Vec<Action> = vec![Action::new("mark")];
        actions.extend((0..9_998).map(|archive| Action::new(format!("remove/{archive}")).needs("mark")));
        actions.push(Action::new("log").after("remove/*"));
        // The best of several: other programs may hold the machine.
        let best = (0..20).map(|_| {
            let actions = actions.clone();
            let begun = std::time::Instant::now();
            assert_eq!(Graph::build(actions).unwrap().order().len(), 10_000);
            begun.elapsed()
        });
        let best = best.min().unwrap();
        // Debug builds check every index and run several times slower.
        let most_ms = if cfg!(debug_assertions) { 500 } else { 50 };
        assert!(best.as_millis() <= most_ms, "{best:?}");
    }
}
