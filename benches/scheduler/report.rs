//! Results: a figure beside its limit, for people and for programs.

use serde_json::{Value, json};

/// Which side of its limit a figure must be on.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
    /// Reported beside.
    None,
}

struct Line {
    what: String,
    value: f64,
    unit: &'static str,
    limit: Limit,
}

#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
}

impl Report {
    pub fn add(&mut self, what: &str, value: f64, unit: &'static str, limit: Limit) {
        eprintln!("{what}: {value:.2} {unit}");
        self.lines.push(Line { what: what.to_owned(), value, unit, limit });
    }

    pub fn print(&self) {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN);
        table.set_header(["measure", "value", "unit", "target", ""]);
        let mut measures = Vec::new();
        for line in &self.lines {
            let (target, is_met) = match line.limit {
                Limit::AtMost(most) => (format!("<= {most}"), Some(line.value <= most)),
                Limit::AtLeast(least) => (format!(">= {least}"), Some(line.value >= least)),
                Limit::None => (String::new(), None),
            };
            let verdict = is_met.map_or("", |is_met| if is_met { "ok" } else { "missed" });
            table.add_row([
                line.what.clone(),
                format!("{:.2}", line.value),
                line.unit.to_owned(),
                target.clone(),
                verdict.to_owned(),
            ]);
            measures.push(json!({"measure": line.what, "value": line.value, "unit": line.unit, "target": target, "ok": is_met}));
        }
        eprintln!("{table}");
        println!("{}", json!({"schema_version": 1, "measures": Value::Array(measures)}));
    }
}

/// The value that a part of all values does not exceed.
///
/// # Panics
///
/// On an empty list: every measure runs at least once.
pub fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (part * values.len() as f64).ceil() as usize;
    values[at.clamp(1, values.len()) - 1]
}
