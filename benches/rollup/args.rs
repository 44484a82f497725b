//! The command line of the benchmark.

use clap::{Parser, ValueEnum};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    Fill,
    Drain,
    Scattered,
    Hot,
    Live,
    Many,
    Capture,
    Memory,
}

/// Measures fills, drains, scattered changes, a hot bucket, the live view, many rollups, capture and memory, each beside its bound.
#[derive(Debug, Parser)]
pub struct Args {
    /// Events of the large history
    #[arg(long, default_value_t = 5_000_000)]
    pub events: u64,
    /// Rounds; each number is a median over them
    #[arg(long, default_value_t = 3)]
    pub repeat: usize,
    /// What to measure; nothing named means everything
    measures: Vec<Measure>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    pub fn read() -> Args {
        Args::parse()
    }

    pub fn wants(&self, measure: Measure) -> bool {
        self.measures.is_empty() || self.measures.contains(&measure)
    }
}
