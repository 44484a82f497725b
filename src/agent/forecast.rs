//! What a run would do, before it does: the same graph, with the checks that change nothing.

use serde::Serialize;

use super::AgentError;
use super::graph::{self, Forecast};
use super::run::{Parts, Task, checks, graph as graph_of};
use crate::ground::clock;

/// A drawn run.
#[derive(Debug, Clone)]
pub struct Drawn {
    pub text: String,
    pub mermaid: String,
    pub actions: Vec<Line>,
}

/// One action of a drawn run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub name: String,
    pub would_run: bool,
    /// What it would do, or why it would be skipped.
    pub why: String,
}

/// Draws a run of a task.
///
/// # Errors
///
/// [`AgentError::Graph`].
pub fn draw(task: &Task) -> Result<Drawn, AgentError> {
    let graph = graph_of(&Parts::of(task))?;
    let blocked = checks::blocked(task, clock::local_now());
    // What lies behind a closed gate is skipped, except what runs after everything.
    let mut skipped: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for place in graph.order() {
        let action = &graph.actions()[*place];
        let needs = graph.waited_for(*place).into_iter().find(|(to, kind)| {
            *kind == graph::EdgeKind::Needs && skipped.contains(&graph.actions()[*to].name)
        });
        let unmet = match &action.condition {
            graph::Condition::Started(name) if skipped.contains(name) => Some(name.clone()),
            _ => None,
        };
        let why = match (&blocked, needs) {
            (Some((name, why)), _) if *name == action.name => Some(why.clone()),
            (_, Some((to, _))) => Some(format!("{} would not run", graph.actions()[to].name)),
            _ => unmet.map(|name| format!("{name} would not begin")),
        };
        let would_run = why.is_none();
        if !would_run {
            skipped.push(action.name.clone());
        }
        let words = why.unwrap_or_else(|| does(task, &action.name));
        lines.push(Line { name: action.name.clone(), would_run, why: words });
    }
    let forecast = |name: &str| match lines.iter().find(|line| line.name == name) {
        Some(line) if !line.would_run => Forecast::Skips(line.why.clone()),
        Some(line) => Forecast::Runs(line.why.clone()),
        None => Forecast::Runs(String::new()),
    };
    Ok(Drawn {
        text: graph::text(&graph, forecast),
        mermaid: graph::mermaid(&graph, forecast),
        actions: lines,
    })
}

/// What an action would do, where that is not said by its name.
fn does(task: &Task, name: &str) -> String {
    let hook = |line: &Option<String>| line.clone().unwrap_or_default();
    match name {
        "backup" => {
            let what = task.group.command.clone().unwrap_or_else(|| task.group.includes.join(", "));
            format!("{what} → {}", task.repository.url)
        }
        "pre-access-hook" => hook(&task.settings.hooks.pre_access),
        "post-access-hook" => hook(&task.settings.hooks.post_access),
        "pre-backup-hook" => hook(&task.group.pre_hook),
        "post-backup-hook" => hook(&task.group.post_hook),
        _ => String::new(),
    }
}
