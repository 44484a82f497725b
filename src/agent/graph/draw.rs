//! A graph for eyes: as text, and as Mermaid.

use std::fmt::Write;

use super::action::{Condition, EdgeKind};
use super::build::Graph;

/// What is known before a run about one of its actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forecast {
    /// It runs when its turn comes; the words say what it would do.
    Runs(String),
    /// It would be skipped, for this reason.
    Skips(String),
}

/// One line an action, in the order in which they could run one by one.
pub fn text(graph: &Graph, forecast: impl Fn(&str) -> Forecast) -> String {
    let mut drawn = String::new();
    let width = graph.actions().iter().map(|action| action.name.len()).max().unwrap_or(0);
    for place in graph.order() {
        let action = &graph.actions()[*place];
        let (mark, words) = match forecast(&action.name) {
            Forecast::Runs(words) => ("+", words),
            Forecast::Skips(reason) => ("-", format!("skipped: {reason}")),
        };
        let mut waits: Vec<String> = Vec::new();
        for edge in &action.edges {
            let kind = if edge.kind == EdgeKind::Needs { "needs" } else { "after" };
            waits.push(format!("{kind} {}", edge.to));
        }
        if let Condition::Started(name) = &action.condition {
            waits.push(format!("only if {name} began"));
        }
        let waits = if waits.is_empty() { String::new() } else { format!("  [{}]", waits.join(", ")) };
        let words = if words.is_empty() { words } else { format!("  {words}") };
        let line = format!("{mark} {:<width$}{words}{waits}", action.name);
        let _ = writeln!(drawn, "{}", line.trim_end());
    }
    drawn
}

/// A flow chart: whole arrows for needs, dotted ones for after; what would be skipped is grey.
pub fn mermaid(graph: &Graph, forecast: impl Fn(&str) -> Forecast) -> String {
    let mut drawn = String::from("flowchart TD\n");
    for place in graph.order() {
        let action = &graph.actions()[*place];
        let class = match forecast(&action.name) {
            Forecast::Runs(_) => "",
            Forecast::Skips(_) => ":::skipped",
        };
        // Quotes would end the label; no name of ours has them, but archives are named by others.
        let _ = writeln!(drawn, "  a{place}[\"{}\"]{class}", action.name.replace('"', "'"));
    }
    for place in graph.order() {
        for (to, kind) in graph.waited_for(*place) {
            let arrow = if kind == EdgeKind::Needs { "-->" } else { "-.->" };
            let _ = writeln!(drawn, "  a{to} {arrow} a{place}");
        }
    }
    drawn.push_str("  classDef skipped fill:#eee,stroke:#999,color:#666\n");
    drawn
}

#[cfg(test)]
mod tests {
    use super::super::action::Action;
    use super::*;

    #[test]
    fn both_drawings_show_edges_and_what_is_skipped() {
        let graph = Graph::build(vec![
            Action::new("record").after("backup"),
            Action::new("backup"),
            Action::new("post").after("record").only_if_started("backup"),
        ])
        .unwrap();
        let forecast = |name: &str| match name {
            "post" => Forecast::Skips("no hook".to_owned()),
            _ => Forecast::Runs(String::new()),
        };
        let lines = "+ backup\n+ record  [after backup]\n- post    skipped: no hook  [after record, only if backup began]\n";
        assert_eq!(text(&graph, forecast), lines);
        let chart = mermaid(&graph, forecast);
        assert!(chart.contains("  a1 -.-> a0\n") && chart.contains("a2[\"post\"]:::skipped"), "{chart}");
    }
}
