//! Made-up histories, the same in every run: a draft of numbers in SQL, and tables of events made from it.

use highwater::db::{Executor, Session};
use highwater::rollup::definition::Definition;
use highwater::rollup::{RollupName, drop, install};

use crate::place::Place;

/// The built-in definition; every history has one like it.
const DEFINITION: &str = include_str!("../../sql/rollups/usage_hourly.toml");

/// Chosen once, so that runs can be compared.
const SEED: u64 = 1;

/// What the names in an event are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    Text,
    Integers,
}

/// How many events a row of the rollup counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Density {
    /// About 8 at 5 million events a year.
    Dense,
    /// About 1.1.
    Fine,
}

/// How events lie in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Time,
    Random,
}

/// A table of events and the rollup over it.
#[derive(Debug, Clone)]
pub struct History {
    pub table: String,
    pub rollup: RollupName,
    pub definition: Definition,
}

/// Draws the numbers that the next tables are made of.
pub async fn draft(session: &Session, events: u64, days: u32) -> anyhow::Result<()> {
    session.batch("DROP TABLE IF EXISTS bench.draft").await?;
    let text = include_str!("sql/draft.sql")
        .replace("{{events}}", &events.to_string())
        .replace("{{days}}", &days.to_string())
        .replace("{{seed}}", &SEED.to_string());
    Ok(session.batch(&text).await?)
}

impl History {
    /// A table named `bench.NAME`, and `highwater.bench_NAME` over it.
    pub fn named(name: &str) -> anyhow::Result<History> {
        let table = format!("bench.{name}");
        let rollup = format!("bench_{name}");
        let text = DEFINITION
            .replace("\"usage_hourly\"", &format!("\"{rollup}\""))
            .replace("\"highwater.usage_event\"", &format!("\"{table}\""));
        let definition = Definition::parse(&text, "of the benchmark")?;
        Ok(History { table, rollup: definition.name.clone(), definition })
    }

    /// Fills the table from the draft, builds its indexes and lets the planner look at it.
    pub async fn make(
        &self,
        session: &Session,
        keys: Keys,
        density: Density,
        order: Order,
    ) -> anyhow::Result<()> {
        let rows = match keys {
            Keys::Text => include_str!("sql/text_rows.sql"),
            Keys::Integers => include_str!("sql/integer_rows.sql"),
        };
        let code = match density {
            Density::Dense => "dense",
            Density::Fine => "fine",
        };
        let ordering = match order {
            Order::Time => "id",
            Order::Random => "shuffle",
        };
        self.table(session, keys).await?;
        session.batch(&self.filled(rows).replace("{{code}}", code).replace("{{ordering}}", ordering)).await?;
        self.index(session).await
    }

    /// The table without rows and indexes.
    pub async fn table(&self, session: &Session, keys: Keys) -> anyhow::Result<()> {
        let table = match keys {
            Keys::Text => include_str!("sql/text_table.sql"),
            Keys::Integers => include_str!("sql/integer_table.sql"),
        };
        Ok(session.batch(&self.filled(table)).await?)
    }

    /// The source's indexes and statistics.
    pub async fn index(&self, session: &Session) -> anyhow::Result<()> {
        // VACUUM refuses a transaction, and several statements in one message are one.
        for statement in self.filled(include_str!("sql/indexes.sql")).split(';') {
            session.batch(statement).await?;
        }
        Ok(())
    }

    /// A statement with this history's names spliced in.
    pub fn filled(&self, text: &str) -> String {
        text.replace("{{table}}", &self.table)
            .replace("{{source}}", &self.table)
            .replace("{{target}}", &format!("highwater.{}", self.rollup))
            .replace("{{query}}", &self.definition.query)
    }

    /// Installs the rollup, or puts a new and empty one in the place of the one that is there.
    pub async fn renew(&self, place: &Place) -> anyhow::Result<()> {
        let mut session = place.session().await?;
        if drop::run(&mut session, &self.rollup).await.is_err() {
            // There was none yet.
            session = place.session().await?;
        }
        install::install_now(&mut session, &self.definition).await?;
        Ok(())
    }
}
