//! One action of a run, and what it waits for.

use std::time::Duration;

/// Something that a run does, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Words with slashes between them, the later ones parameters: `remove/0198…`.
    pub name: String,
    pub edges: Vec<Edge>,
    pub condition: Condition,
    /// Held while it runs; each is one thing that few may hold at once.
    pub resources: Vec<String>,
    /// Of actions that could begin the higher one does.
    pub priority: i32,
    /// None: as long as it takes.
    pub timeout: Option<Duration>,
    /// Runs also when the run was cancelled: what closes, records and reports.
    pub closes: bool,
}

/// What an action waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// A name; one with fewer parameters, or `*` for one, stands for all actions that it fits.
    pub to: String,
    pub kind: EdgeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EdgeKind {
    /// It must have succeeded.
    Needs,
    /// It must be over, however it went.
    After,
}

/// Whether an action whose turn has come runs at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Always,
    /// Only if that action began, however it ended.
    Started(String),
}

impl Action {
    /// An action without edges.
    pub fn new(name: impl Into<String>) -> Action {
        Action {
            name: name.into(),
            edges: Vec::new(),
            condition: Condition::Always,
            resources: Vec::new(),
            priority: 0,
            timeout: None,
            closes: false,
        }
    }

    pub fn needs(self, to: impl Into<String>) -> Action {
        self.edge(to, EdgeKind::Needs)
    }

    pub fn after(self, to: impl Into<String>) -> Action {
        self.edge(to, EdgeKind::After)
    }

    fn edge(mut self, to: impl Into<String>, kind: EdgeKind) -> Action {
        self.edges.push(Edge { to: to.into(), kind });
        self
    }

    pub fn only_if_started(mut self, name: impl Into<String>) -> Action {
        self.condition = Condition::Started(name.into());
        self
    }

    pub fn holds(mut self, resource: impl Into<String>) -> Action {
        self.resources.push(resource.into());
        self
    }

    pub fn priority(mut self, priority: i32) -> Action {
        self.priority = priority;
        self
    }

    pub fn within(mut self, timeout: Option<Duration>) -> Action {
        self.timeout = timeout;
        self
    }

    pub fn closes(mut self) -> Action {
        self.closes = true;
        self
    }
}

/// Takes actions out of a run: who waited for one of them waits for what it waited for, as strictly as both edges say.
pub fn without(mut actions: Vec<Action>, names: &[&str]) -> Vec<Action> {
    for name in names {
        let Some(place) = actions.iter().position(|action| action.name == *name) else { continue };
        let gone = actions.remove(place);
        for action in &mut actions {
            let Some(at) = action.edges.iter().position(|edge| edge.to == *name) else { continue };
            let bridged = action.edges.remove(at);
            for edge in &gone.edges {
                let kind = match (bridged.kind, edge.kind) {
                    (EdgeKind::Needs, EdgeKind::Needs) => EdgeKind::Needs,
                    _ => EdgeKind::After,
                };
                if !action.edges.iter().any(|one| one.to == edge.to && one.kind == EdgeKind::Needs) {
                    action.edges.retain(|one| one.to != edge.to);
                    action.edges.push(Edge { to: edge.to.clone(), kind });
                }
            }
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_for_an_omitted_action_waits_for_what_it_waited_for() {
        let actions = vec![
            Action::new("a"),
            Action::new("b").needs("a"),
            Action::new("c").needs("b"),
            Action::new("d").after("b"),
        ];
        let left = without(actions, &["b"]);
        assert_eq!(left[1], Action::new("c").needs("a"));
        assert_eq!(left[2], Action::new("d").after("a"));
    }
}
