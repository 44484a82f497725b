//! Results: a ratio beside its target, for people and for programs.

use serde_json::{Value, json};

use crate::args::Args;

/// One ratio of two medians.
pub struct Line {
    pub what: String,
    /// What it is measured against.
    pub bound: String,
    pub ratio: f64,
    /// The same ratio in processor time of the server; none where it says nothing.
    pub processor: Option<f64>,
    /// Largest ratio that is good enough; none for what is reported beside.
    pub target: Option<f64>,
    /// Both medians in their unit, for the JSON document.
    pub medians: Value,
}

#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
}

impl Report {
    pub fn add(&mut self, line: Line) {
        eprintln!("{}: {:.2} of {}", line.what, line.ratio, line.bound);
        self.lines.push(line);
    }

    pub fn print(&self, args: &Args) -> anyhow::Result<()> {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN);
        table.set_header(["measure", "bound", "ratio", "target", "processor", ""]);
        for line in &self.lines {
            let two = |number: f64| format!("{number:.2}");
            let verdict = line.target.map_or("", |target| if line.ratio <= target { "ok" } else { "missed" });
            table.add_row([
                line.what.clone(),
                line.bound.clone(),
                two(line.ratio),
                line.target.map(two).unwrap_or_default(),
                line.processor.map(two).unwrap_or_default(),
                verdict.to_owned(),
            ]);
        }
        eprintln!("{table}");
        let lines: Vec<Value> = self
            .lines
            .iter()
            .map(|line| {
                json!({"measure": line.what, "bound": line.bound, "ratio": line.ratio, "target": line.target,
                       "processor_ratio": line.processor, "medians": line.medians})
            })
            .collect();
        let document =
            json!({"schema_version": 1, "events": args.events, "repeat": args.repeat, "measures": lines});
        println!("{document}");
        Ok(())
    }
}

/// The middle value; of an even number the mean of the two in the middle.
///
/// # Panics
///
/// On an empty list: every measure runs at least once.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}
